import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { CliBench } from '../testing/bench-cli.ts';
import { DIGEST, datasetVersion, inferenceModel, metadata, modelVersion, pipeline, run } from '../testing/sample-resources.ts';

const bench = new CliBench().install();
const original = await readFile(new URL('../testing/fixtures/original-pipeline.json', import.meta.url), 'utf8');

describe('apply', () => {
  test('sends documents of all files, folders and stdin in one request', async () => {
    const bodies: { documents: { kind: string; metadata: { name: string } }[] }[] = [];
    await bench.serve({
      apply: ({ body }) => {
        const request = body as (typeof bodies)[number];
        bodies.push(request);
        return {
          results: request.documents.map((one) => ({ kind: one.kind, name: one.metadata.name, action: 'created', generation: 1 })),
        };
      },
    });
    await mkdir(join(bench.cwd, 'fleet'));
    const device = 'apiVersion: selvedge.dev/v1alpha1\nkind: Device\nmetadata: {name: NAME}\nspec: {}\n';
    await writeFile(join(bench.cwd, 'fleet/b.yaml'), [device.replace('NAME', 'edge-1'), device.replace('NAME', 'edge-2')].join('---\n'));
    await writeFile(join(bench.cwd, 'fleet/digits.json'), original);
    await writeFile(join(bench.cwd, 'fleet/README.md'), 'not a document');
    const outcome = await bench.call(['apply', '-f', 'fleet', '-'], { stdin: device.replace('NAME', 'edge-3') });
    expect(outcome).toMatchObject({
      code: 0,
      stdout: 'Device/edge-1 created\nDevice/edge-2 created\nPipeline/digits created\nDevice/edge-3 created\n',
      stderr: expect.stringContaining('selvedge pipeline run digits --watch'),
    });
    expect(bodies).toHaveLength(1);
  });

  test('sends nothing when a file has a fault, and names all faults of all files', async () => {
    const server = await bench.serve({ apply: () => ({ results: [] }) });
    await writeFile(join(bench.cwd, 'a.json'), original.replace('"batch_size": 32', '"batchsize": 32'));
    await writeFile(join(bench.cwd, 'b.yaml'), 'kind: Task\nspec: {}\n');
    const { code, stderr } = await bench.call(['apply', '-f', 'a.json', '-f', 'b.yaml']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/a\.json:13:13: model\.hyperparams\.batchsize: unknown field/);
    expect(stderr).toMatch(/a\.json:\d+:\d+: model\.hyperparams\.batch_size: /);
    expect(stderr).toMatch(/b\.yaml:1:1: apiVersion: /);
    expect(stderr).toMatch(/b\.yaml:2:1: spec\.description: /);
    expect(server.calls).toEqual([]);
  });

  test('shows the first faults of a flood and how many there are; all of them with -o json', async () => {
    await writeFile(join(bench.cwd, 'a.yaml'), Array.from({ length: 60 }, (_, index) => `a${index}: "\\q"\n`).join(''));
    const { code, stderr } = await bench.call(['apply', '-f', 'a.yaml']);
    expect(code).toBe(2);
    expect(stderr.match(/a\.yaml:\d+:/g)).toHaveLength(50);
    expect(stderr).toContain('\n  … and 10 more\n');
    const json = await bench.call(['apply', '-f', 'a.yaml', '-o', 'json']);
    expect(JSON.parse(json.stderr).issues).toHaveLength(60);
  });

  test('names every file that is not there', async () => {
    const { code, stderr } = await bench.call(['apply', '-f', 'one.yaml', 'two.yaml']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/one\.yaml: no such file/);
    expect(stderr).toMatch(/two\.yaml: no such file/);
  });

  test('locates what only the server knows to be wrong', async () => {
    await bench.serve({
      apply: () => {
        throw new AppError('REFERENCE_MISSING', {
          message: 'A resource is missing.',
          issues: [{ path: 'documents[0].spec.dataset.name', message: 'there is no dataset "..."' }],
        });
      },
    });
    await writeFile(join(bench.cwd, 'p.json'), original);
    const { code, stderr } = await bench.call(['apply', '-f', 'p.json', '--name', 'p']);
    expect(code).toBe(3);
    expect(stderr).toContain('p.json:3:9: dataset.name: there is no dataset');
  });
});

describe('dataset add', () => {
  const digests: string[] = [];
  const handlers = {
    getWhoami: () => ({ name: 'admin', via: 'token', version: '0.1.0', devicePort: 7443 }),
    uploadDataset: ({ body }: { body: unknown }) => {
      digests.push(
        createHash('sha256')
          .update(body as Buffer)
          .digest('hex'),
      );
      return datasetVersion('pets', 'Importing');
    },
  };

  test('uploads a folder, waits for the import and prints splits and labels; again it sends the same bytes', async () => {
    let questions = 0;
    await bench.serve({
      ...handlers,
      getResource: () => {
        questions += 1;
        return datasetVersion('pets', questions % 2 === 0 ? 'Ready' : 'Importing', 'reading');
      },
    });
    await mkdir(join(bench.cwd, 'pets/cat'), { recursive: true });
    await writeFile(join(bench.cwd, 'pets/cat/1.png'), 'a picture');
    await symlink('/etc/hostname', join(bench.cwd, 'pets/cat/2.png'));
    const first = await bench.call(['dataset', 'add', 'pets', '--from', 'pets']);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/Splits +train 2, test 1\nLabels +2: cat dog\n/) });
    expect(first.stderr).toContain('warning: a symbolic link was left out');
    expect(first.stderr).toContain('upload 100%');
    const again = await bench.call(['dataset', 'add', 'pets', '--from', 'pets', '-o', 'json']);
    expect(JSON.parse(again.stdout)).toMatchObject({ kind: 'DatasetVersion', status: { phase: 'Ready' } });
    expect(new Set(digests).size).toBe(1);
  });

  test('fails when the import fails', async () => {
    await bench.serve({ ...handlers, getResource: () => datasetVersion('pets', 'Failed', 'cat/1.png is no picture') });
    await writeFile(join(bench.cwd, 'x.bin'), 'x');
    const { code, stderr } = await bench.call(['dataset', 'add', 'pets', '--from', 'x.bin']);
    expect(code).toBe(6);
    expect(stderr).toContain('cat/1.png is no picture');
  });

  test('exits by the error that the import failed of, with its hint and without a next step', async () => {
    const failed = datasetVersion('pets', 'Failed', 'cat/1.png is no picture');
    failed.status.error = { code: 'DATASET_FORMAT', message: 'cat/1.png is no picture', hint: 'Repair it.' };
    await bench.serve({ ...handlers, getResource: () => failed });
    await writeFile(join(bench.cwd, 'x.bin'), 'x');
    const { code, stdout, stderr } = await bench.call(['dataset', 'add', 'pets', '--from', 'x.bin']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('failed: cat/1.png is no picture (DATASET_FORMAT)\nhint: Repair it.\n');
    expect(stderr).not.toContain('Next:');
  });

  test('is listed as failed when no version of it is usable', async () => {
    const dataset = {
      apiVersion: 'selvedge.dev/v1alpha1' as const,
      kind: 'Dataset' as const,
      metadata: metadata('pets'),
      spec: {},
      status: { latestVersion: null, versions: [1] },
    };
    await bench.serve({
      listResources: ({ params }) => ({ items: params.plural === 'datasets' ? [dataset] : [datasetVersion('pets', 'Failed')], next: null }),
    });
    expect((await bench.call(['dataset', 'list'])).stdout).toMatch(/^pets +- +Failed/m);
  });

  test('passes a URL on to the server', async () => {
    const bodies: unknown[] = [];
    await bench.serve({
      importDataset: ({ body }) => {
        bodies.push(body);
        return datasetVersion('pets', 'Importing');
      },
      getResource: () => datasetVersion('pets', 'Ready'),
    });
    const args = ['dataset', 'add', 'pets', '--from', 'http://example.org/pets.zip', '--sha256', DIGEST, '--test-share', '0.3'];
    expect(await bench.call(args)).toMatchObject({ code: 0 });
    expect(bodies).toEqual([{ url: 'http://example.org/pets.zip', sha256: DIGEST, testShare: 0.3 }]);
  });

  test('refuses an empty folder, a wrong digest and a server that does not let in, before it uploads', async () => {
    const server = await bench.serve(handlers);
    await mkdir(join(bench.cwd, 'empty'));
    await writeFile(join(bench.cwd, 'x.bin'), 'x');
    expect(await bench.call(['dataset', 'add', 'pets', '--from', 'empty'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('holds no files'),
    });
    expect(await bench.call(['dataset', 'add', 'pets', '--from', 'x.bin', '--sha256', DIGEST])).toMatchObject({ code: 6 });
    expect(await bench.call(['dataset', 'add', 'pets', '--from', 'x.bin', '--token', 'wrong'])).toMatchObject({ code: 5 });
    expect(server.calls).not.toContain('uploadDataset');
  });
});

describe('runs', () => {
  test('are listed newest first, shown and cancelled', async () => {
    const [older, newer] = [run('digits-1', 7, 'completed', 9), run('digits-2', 4, 'running', 9)];
    newer.metadata.createdAt = '2026-02-02T03:04:05.000Z';
    await bench.serve({
      listResources: () => ({ items: [older, newer], next: null }),
      getResource: () => older,
      cancelRun: () => ({ ...newer, status: { ...newer.status, phase: 'Cancelled' } }),
    });
    const list = (await bench.call(['run', 'list'])).stdout.split('\n');
    expect(list[1]).toMatch(/^digits-2 +digits +Running +train 0% +digits:1/);
    expect(list[2]).toMatch(/^digits-1 +digits +Succeeded/);
    expect((await bench.call(['run', 'show', 'digits-1'])).stdout).toMatch(/test\/accuracy +0\.9812/);
    expect(await bench.call(['run', 'cancel', 'digits-2'])).toMatchObject({ code: 0, stdout: 'Run/digits-2 cancelled\n' });
  });

  test('show what each step was given and has used of the machine', async () => {
    const shown = run('digits-1', 7, 'completed', 9);
    const gpu = { index: 1, uuid: 'GPU-5e1f7a02', name: 'NVIDIA L4', memoryMiB: 23_034 };
    const used = { wallSeconds: 41.2, cpuSeconds: 73.9, peakMemoryMiB: 812.4 };
    for (const step of shown.status.steps) {
      if (step.name === 'split')
        step.resources = { asked: {}, granted: { threads: 1, memoryMiB: null, nice: 0, gpus: [] }, used: { ...used, cpuSeconds: 2 } };
      if (step.name === 'train')
        step.resources = {
          asked: { cpus: 2, memoryMiB: 4096, nice: 5, gpus: 1 },
          granted: { threads: 2, memoryMiB: 4096, nice: 5, gpus: [gpu] },
          enforcedBy: 'cgroup',
          used,
        };
    }
    await bench.serve({ getResource: () => shown });
    const { stdout } = await bench.call(['run', 'show', 'digits-1']);
    expect(stdout).toMatch(/STEP +CPU TIME +PEAK MEMORY +LIMIT +CPUS +NICE +GPUS +ENFORCED BY\n/);
    expect(stdout).toMatch(/split +2\.0s +813 MiB +none +1 \(default\) +0 +- +polling\n/);
    expect(stdout).toMatch(/train +1m14s +813 MiB +4096 MiB +2 +5 +1 NVIDIA L4 +cgroup\n/);
    const json = JSON.parse((await bench.call(['run', 'show', 'digits-1', '-o', 'json'])).stdout);
    expect(json.status.steps).toContainEqual(
      expect.objectContaining({ name: 'train', resources: expect.objectContaining({ enforcedBy: 'cgroup', used }) }),
    );
  });

  test('begin with other hyperparameters where they are set, and refuse what is none', async () => {
    const bodies: unknown[] = [];
    await bench.serve({
      startRun: ({ body }) => {
        bodies.push(body);
        return run('digits-1', 0, 'running', 9);
      },
    });
    expect(await bench.call(['pipeline', 'run', 'digits', '--set', 'lr=0.01', '--set', 'optimizer=adam'])).toMatchObject({ code: 0 });
    expect(bodies).toEqual([{ hyperparams: { lr: 0.01, optimizer: 'adam' } }]);
    expect(await bench.call(['pipeline', 'run', 'digits', '--set', 'speed=9'])).toMatchObject({ code: 2 });
    expect(bodies).toHaveLength(1);
  });

  test('have their log streamed', async () => {
    await bench.serve({
      getRunLog: ({ query, response }) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        response.write(`step ${query.step} follow ${query.follow}\n`);
        response.end('end\n');
      },
    });
    expect(await bench.call(['run', 'logs', 'digits-1', '--step', 'train', '--follow'])).toMatchObject({
      code: 0,
      stdout: 'step train follow 1\nend\n',
    });
    const { stdout } = await bench.call(['run', 'logs', 'digits-1', '--step', 'train', '--follow', '-o', 'json']);
    expect(JSON.parse(stdout)).toEqual({ run: 'digits-1', step: 'train', lines: ['step train follow 1', 'end'] });
  });

  test('show their metrics, one of them point by point', async () => {
    const at = '2026-01-02T03:04:05.000Z';
    const points = [1, 2, 3].map((step) => ({ metric: 'train/loss', step, value: 1 / step, at }));
    await bench.serve({ getRunMetrics: () => ({ points }) });
    expect((await bench.call(['run', 'metrics', 'r'])).stdout).toMatch(/train\/loss +3 +0\.3333 +0\.3333 +1/);
    expect((await bench.call(['run', 'metrics', 'r', '--metric', 'train/loss'])).stdout).toMatch(/train\/loss +2 +0\.5/);
    expect(await bench.call(['run', 'metrics', 'r', '--metric', 'x'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('train/loss'),
    });
  });
});

describe('models', () => {
  const content = Buffer.from('an onnx file');
  const sha256 = createHash('sha256').update(content).digest('hex');
  const model = {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Model',
    metadata: metadata('digits'),
    spec: {},
    status: { aliases: { latest: '2' }, versions: ['1', '2'] },
  };
  const detail = (digest: string) => ({ model, versions: [modelVersion('digits', '2', { sha256: digest, sizeBytes: content.length })] });
  const file = ({ response }: { response: import('node:http').ServerResponse }) => {
    response.writeHead(200);
    response.end(content);
  };

  test('are shown with their versions and downloaded whole', async () => {
    await bench.serve({ getModel: () => detail(sha256), downloadModel: file });
    expect((await bench.call(['model', 'show', 'digits'])).stdout).toMatch(/2 +latest +0\.9812 +0\.98/);
    expect(await bench.call(['model', 'download', 'digits', '-o', 'm.onnx'])).toMatchObject({ code: 0 });
    expect(await readFile(join(bench.cwd, 'm.onnx'))).toEqual(content);
    expect(await bench.call(['model', 'download', 'digits', '9', '-o', 'n.onnx'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('latest, 2'),
    });
  });

  test('leave no file behind when the digest is wrong', async () => {
    await bench.serve({ getModel: () => detail(DIGEST), downloadModel: file });
    expect(await bench.call(['model', 'download', 'digits', '-o', 'm.onnx'])).toMatchObject({ code: 6 });
    await expect(readFile(join(bench.cwd, 'm.onnx'))).rejects.toThrow('ENOENT');
    await expect(readFile(join(bench.cwd, 'm.onnx.part'))).rejects.toThrow('ENOENT');
  });

  test('answer for pictures; one that is none does not stop the others', async () => {
    await bench.serve({
      infer: ({ query }) => ({
        device: query.device ?? 'edge-1',
        roundTripMs: 5.2,
        infer: { model: 'digits', version: '2', latencyMs: 1.25, result: { top: { index: 1, label: 'dog', score: 0.99 } } },
      }),
    });
    await writeFile(join(bench.cwd, 'a.png'), Buffer.from([0x89, 0x50, 0x4e, 0x47, 0]));
    await writeFile(join(bench.cwd, 'b.txt'), 'no picture');
    const { code, stdout, stderr } = await bench.call(['infer', 'digits', 'b.txt', 'a.png', '--device', 'edge-2']);
    expect(code).toBe(2);
    expect(stdout).toMatch(/a\.png +dog +0\.99 +edge-2 \(digits:2\) +1\.\d ms +5\.2 ms/);
    expect(stderr).toContain('1 of 2 pictures');
    const json = await bench.call(['infer', 'digits', 'a.png', '-o', 'json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      items: [{ file: 'a.png', device: 'edge-1', infer: { result: { top: { label: 'dog' } } } }],
    });
  });

  test('say why they are not served', async () => {
    const waiting = inferenceModel('faces');
    waiting.status.devices = [];
    const why = { type: 'Available' as const, status: 'False' as const, reason: 'ManifestUnsupported', message: 'no manifests here' };
    waiting.status.conditions = [{ ...why, lastTransitionTime: '2026-01-02T03:04:05.000Z' }];
    await bench.serve({ getResource: () => waiting });
    expect((await bench.call(['get', 'InferenceModel', 'faces'])).stdout).toContain('\n\nNot available: no manifests here\n');
  });

  test('are looked at and deleted by kind', async () => {
    const server = await bench.serve({ getResource: () => inferenceModel('digits'), deleteResource: () => undefined });
    expect((await bench.call(['get', 'InferenceModel', 'digits'])).stdout).toMatch(/1 of 1 serving[\s\S]*edge-1 +serving +1/);
    expect(await bench.call(['delete', 'inferencemodels', 'digits'])).toMatchObject({ code: 0, stdout: 'InferenceModel/digits deleted\n' });
    expect(server.calls).toEqual(['getResource', 'deleteResource']);
  });
});

test('pipelines are listed and shown', async () => {
  await bench.serve({ listResources: () => ({ items: [pipeline('digits')], next: null }), getResource: () => pipeline('digits') });
  expect((await bench.call(['pipeline', 'list'])).stdout).toMatch(/^digits +digits +digits +- /m);
  expect((await bench.call(['pipeline', 'show', 'digits'])).stdout).toContain('resize → hwctochw → scale');
});

describe('triggers and repeated runs', () => {
  const trigger = {
    pipeline: 'digits',
    name: 'push',
    kind: 'webhook',
    description: 'a signed call',
    nextAt: null,
    pending: { dueAt: '2026-11-20T17:00:00.000Z', events: 2 },
    lastFiredAt: null,
    lastRun: null,
    webhookPath: '/webhooks/digits/push',
    hasSecret: false,
  };

  test('lists what starts runs, and says what a webhook lacks', async () => {
    await bench.serve({ listTriggers: ({ query }) => ({ items: query.pipeline === 'none' ? [] : [trigger] }) });
    const { code, stdout } = await bench.call(['trigger', 'list']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/digits +push +a signed call \(no secret yet\) +- +2 events, due 2026-11-20T17:00:00\.000Z/);
    const none = await bench.call(['trigger', 'list', '--pipeline', 'none']);
    expect(none).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('the block "triggers" of a pipeline file') });
  });

  test('fires one, and prints a secret alone on stdout', async () => {
    const server = await bench.serve({
      fireTrigger: () => run('digits-4', 1, 'running', 1),
      makeTriggerSecret: () => ({ secret: 's3cret', webhookPath: '/webhooks/digits/push' }),
    });
    expect(await bench.call(['trigger', 'fire', 'digits', 'push'])).toMatchObject({ code: 0, stdout: 'Run/digits-4 started\n' });
    expect(await bench.call(['trigger', 'secret', 'digits', 'push'])).toMatchObject({
      code: 0,
      stdout: 's3cret\n',
      stderr: expect.stringContaining('/webhooks/digits/push'),
    });
    expect(server.calls).toHaveLength(2);
  });

  test('repeats a run from a step on', async () => {
    const asked: unknown[] = [];
    await bench.serve({
      rerunRun: ({ params, body }) => {
        asked.push({ ...params, body });
        return run('digits-5', 1, 'running', 1);
      },
    });
    expect(await bench.call(['run', 'rerun', 'digits-1', '--from', 'train'])).toMatchObject({ code: 0, stdout: 'Run/digits-5 started\n' });
    expect(asked).toEqual([{ name: 'digits-1', body: { from: 'train' } }]);
  });
});
