import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Product } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

describe('the loop by hand', () => {
  let product: Product;
  beforeAll(async () => {
    product = await startTrained();
    await deploy(product);
    await product.startAgent('edge-1');
    await product.waitForDevice('edge-1', (device) => device.status.workloads.some((workload) => workload.state === 'serving'), 'serving');
  });
  afterAll(() => product.stop());

  async function pictures(label: string): Promise<string[]> {
    const folder = join(inject('pictures'), 'test', label);
    return (await readdir(folder)).sort().map((file) => join(folder, file));
  }

  it('adding the same pictures twice makes one version', async () => {
    const again = await product.cliJson<{ spec: { version: number } }>(['dataset', 'add', 'digits', '--from', inject('pictures')]);
    expect(again.spec.version).toBe(1);
  });

  it('applying twice changes nothing', async () => {
    await deploy(product);
    const file = join(product.dir, 'again.json');
    const api = await product.api();
    const before = await api.getResource({ params: { plural: 'inferencemodels', name: 'digits' } });
    await writeFile(
      file,
      JSON.stringify({ apiVersion: before.apiVersion, kind: before.kind, metadata: { name: 'digits' }, spec: before.spec }),
    );
    const result = await product.cli(['apply', '-f', file]);
    expect(result.stdout).toContain('unchanged');
  });

  it('lists what tools have made, shows its log, saves its files, and removes it', async () => {
    const { items } = await product.cliJson<{ items: { name: string; state: { status: string } }[] }>(['artifact', 'list', 'train']);
    expect(items).toEqual([expect.objectContaining({ name: 'digits-1.train', state: expect.objectContaining({ status: 'completed' }) })]);
    const ofPipeline = await product.cli(['artifact', 'list', '--pipeline', 'digits']);
    expect(ofPipeline.stdout).toMatch(/split\/digits-1\.split\s+training-set\s+completed/);
    expect((await product.cli(['artifact', 'log', 'train/digits-1.train'])).stdout).toContain('kept epoch');
    const zip = join(product.dir, 'train.zip');
    expect(await product.cli(['artifact', 'download', 'train/digits-1.train', '--out', zip])).toMatchObject({ code: 0 });
    expect((await readFile(zip)).subarray(0, 4)).toEqual(Buffer.from('PK\x03\x04'));
    const model = join(product.dir, 'artifact.onnx');
    await product.cli(['artifact', 'download', 'train/digits-1.train', '--file', 'model.onnx', '--out', model]);
    const { versions } = await (await product.api()).getModel({ params: { name: 'digits' } });
    expect(sha256Hex(await readFile(model))).toBe(versions.at(-1)!.spec.file.sha256);
    expect(await product.cli(['artifact', 'rm', 'process/digits-1.process'])).toMatchObject({ code: 0 });
    expect(await product.cli(['artifact', 'log', 'process/digits-1.process'])).toMatchObject({ code: 3 });
    expect(await product.cli(['artifact', 'rm', 'digits-1.process'])).toMatchObject({ code: 2 });
  });

  it('infers several pictures in one call', async () => {
    const [one, two] = await pictures('3');
    const result = await product.cli(['infer', 'digits', one!, two!]);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stdout).toContain('edge-1');
  });

  it('serves the Open Inference Protocol on the device', async () => {
    const device = await product.device('edge-1');
    const base = `http://127.0.0.1:${device.status.workloads[0]!.port}`;
    expect((await fetch(`${base}/v2/health/ready`)).status).toBe(200);
    const metadata = (await (await fetch(`${base}/v2/models/digits`)).json()) as { inputs: { name: string; shape: number[] }[] };
    expect(metadata.inputs[0]!.shape).toEqual([-1, 1, 28, 28]);
    const request = { inputs: [{ name: metadata.inputs[0]!.name, datatype: 'FP32', shape: [1, 1, 28, 28], data: new Array(784).fill(0) }] };
    const answer = (await (
      await fetch(`${base}/v2/models/digits/infer`, {
        method: 'POST',
        body: JSON.stringify(request),
        headers: { 'content-type': 'application/json' },
      })
    ).json()) as {
      outputs: { shape: number[]; data: number[] }[];
    };
    expect(answer.outputs[0]!.shape).toEqual([1, 10]);
  });

  it.each([
    ['a resource that does not exist', ['get', 'pipelines', 'nope'], 3],
    ['a kind that does not exist', ['get', 'unicorns'], 2],
    ['a command that does not exist', ['deploi'], 2],
    ['a model that nothing serves', ['infer', 'nope', 'x.png'], undefined],
    ['a file that does not exist', ['apply', '-f', '/no/such/file.yaml'], 2],
    ['a run that does not exist', ['run', 'logs', 'nope-1'], 3],
  ])('%s: an exit code from the table, and what to do next', async (_, args, code) => {
    const result = await product.cli(args);
    if (code === undefined) expect(result.code).not.toBe(0);
    else expect(result.code, result.stderr).toBe(code);
    expect(result.stderr).toMatch(/error: .+/);
  });

  it('refuses a file with several faults, each with its place, and applies nothing of it', async () => {
    const file = join(product.dir, 'bad.yaml');
    await writeFile(
      file,
      [
        'apiVersion: selvedge.dev/v1alpha1',
        'kind: InferenceModel',
        'metadata: { name: other }',
        'spec:',
        '  modelName: digits',
        '  deployToLayer: moon',
        '  frameworkType: onnx',
        '  servingPort: -1',
        '  colour: red',
      ].join('\n'),
    );
    const result = await product.cli(['apply', '-f', file]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/bad\.yaml:6:3: spec\.deployToLayer/);
    expect(result.stderr).toMatch(/bad\.yaml:8:3: spec\.servingPort/);
    expect(result.stderr).toMatch(/bad\.yaml:9:3: spec\.colour: unknown field/);
    expect((await product.cli(['get', 'inferencemodels', 'other'])).code).toBe(3);
  });

  it('downloads the model as ONNX with the digest that the registry names', async () => {
    const path = join(product.dir, 'model.onnx');
    const result = await product.cli(['model', 'download', 'digits', '1', '--out', path]);
    expect(result.code, result.stderr).toBe(0);
    const { versions } = await (await product.api()).getModel({ params: { name: 'digits' } });
    expect(sha256Hex(await readFile(path))).toBe(versions.at(-1)!.spec.file.sha256);
  });

  it('keeps the admin token from other users', async () => {
    const { mode } = await stat(join(product.dataDir, 'admin-token'));
    expect(mode & 0o777).toBe(0o600);
    const refused = await fetch(`${product.url}/api/v1/resources/devices`);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
  });
});
