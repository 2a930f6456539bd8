import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AnyDocument, AppError, EXIT, type Package } from '@selvedge/contract';
import { type TestAuthority, testArchive, testAuthority, testManifest } from '@selvedge/runtime/package-rig';
import { beforeAll, describe, expect, test } from 'vitest';
import { CliBench } from '../testing/bench-cli.ts';
import type { Handlers } from '../testing/contract-server.ts';
import { DIGEST, device, metadata, modelVersion, pipeline } from '../testing/sample-resources.ts';

const bench = new CliBench().install();
const NAME = 'digits.1.linux-arm64.fp32';
const AT = '2026-01-02T03:04:05.000Z';
const version = modelVersion('digits', '1', { sha256: DIGEST, sizeBytes: 100 });
const detail = {
  model: {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Model',
    metadata: metadata('digits'),
    spec: {},
    status: { aliases: { latest: '1' }, versions: ['1'] },
  },
  versions: [version],
};

let authority: TestAuthority;
let archive: Buffer;
beforeAll(async () => {
  authority = await testAuthority();
  archive = await testArchive(authority.signer, { manifest: { target: 'linux-arm64' } });
});

function built(name = NAME, status: Partial<Package['status']> = {}): Package {
  return {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Package',
    metadata: metadata(name),
    spec: { model: 'digits', version: '1', target: 'linux-arm64' },
    status: {
      phase: 'Ready',
      message: '',
      progress: 1,
      observedGeneration: 1,
      artifact: null,
      engine: 'xnnpack',
      precision: 'fp32',
      archive: { sha256: createHash('sha256').update(archive).digest('hex'), sizeBytes: archive.length },
      manifestSha256: null,
      manifest: testManifest(undefined, { target: 'linux-arm64' }),
      notes: ['conv1 runs in xnnpack'],
      error: null,
      builtAt: AT,
      benchmarks: [],
      ...status,
    },
  };
}

const stream =
  (content: () => Buffer | string): NonNullable<Handlers['getBlob']> =>
  ({ response }) =>
    void response.end(content());
const registry = (packages: () => Package[]): Handlers => ({
  getModel: () => detail,
  listResources: ({ params }) => ({ items: params.plural === 'packages' ? packages() : [], next: null }),
  getResource: ({ params }) => {
    const found = packages().find((one) => one.metadata.name === params.name);
    if (found === undefined) throw new AppError('NOT_FOUND', { message: 'none' });
    return found;
  },
  downloadPackage: stream(() => archive),
  getSigningCa: stream(() => authority.ca),
  getPackageLog: stream(() => 'compiling\nlinking\n'),
});

describe('build create', () => {
  test('resolves the alias, applies a package per target, follows and tells what came of it', async () => {
    const applied: AnyDocument[] = [];
    await bench.serve({
      ...registry(() => applied.map((document) => built(document.metadata.name))),
      apply: ({ body }) => {
        const { documents } = body as { documents: AnyDocument[] };
        applied.push(...documents);
        return { results: documents.map((one) => ({ kind: one.kind, name: one.metadata.name, action: 'created', generation: 1 })) };
      },
    });
    await writeFile(join(bench.cwd, 'mask.cc'), 'int x;');
    const args = [
      'build',
      'create',
      'digits',
      '-t',
      'linux-arm64',
      '-t',
      'linux-armv7',
      '--precision',
      'int8',
      '--calibration',
      'entropy:50',
    ];
    const outcome = await bench.call([...args, '--source', 'mask.cc', '--lib', 'opencv']);
    expect(outcome).toMatchObject({ code: 0 });
    expect(applied.map((one) => one.metadata.name)).toEqual(['digits.1.linux-arm64.int8', 'digits.1.linux-armv7.int8']);
    expect(applied[0]?.spec).toEqual({
      model: 'digits',
      version: '1',
      target: 'linux-arm64',
      build: {
        precision: 'int8',
        calibration: { method: 'entropy', samples: 50 },
        sources: [{ path: 'mask.cc', text: 'int x;' }],
        libraries: ['opencv'],
      },
    });
    expect(outcome.stderr).toContain('  linking\n');
    expect(outcome.stdout).toContain('digits.1.linux-armv7.int8: conv1 runs in xnnpack');
  });

  test('ends with the error of a build that failed, and what to do', async () => {
    const error = { code: 'TARGET_NOT_INSTALLED', message: 'No toolchain for linux-arm64.' };
    const failed = () => built(NAME, { phase: 'Failed', error, archive: null, manifest: null });
    const server = await bench.serve({
      ...registry(() => [failed()]),
      deleteResource: () => undefined,
      apply: () => ({ results: [{ kind: 'Package', name: NAME, action: 'created', generation: 1 }] }),
    });
    const { code, stderr } = await bench.call(['build', 'create', 'digits:1', '-t', 'linux-arm64']);
    expect(code).toBe(EXIT.failed);
    expect(stderr).toContain('selvedge target install linux-arm64');
    expect(server.calls.filter((name) => name === 'deleteResource')).toHaveLength(1); // the failed one makes way for a new try
  });

  test('refuses a version that does not exist and options that make no sense', async () => {
    await bench.serve(registry(() => []));
    expect(await bench.call(['build', 'create', 'digits:9', '-t', 'linux-arm64'])).toMatchObject({ code: EXIT.notFound });
    expect(await bench.call(['build', 'create', 'digits', '-t', 'a-b', '--calibration', 'magic'])).toMatchObject({ code: 2 });
    expect(await bench.call(['build', 'create', 'digits', '-t', 'a-b', '-t', 'a-c', '--name', 'x'])).toMatchObject({ code: 2 });
  });
});

describe('package', () => {
  test('lists and shows', async () => {
    await bench.serve(registry(() => [built()]));
    const { stdout } = await bench.call(['package', 'list']);
    expect(stdout).toMatch(/^PACKAGE +MODEL +TARGET/);
    expect(stdout).toMatch(/digits\.1\.linux-arm64\.fp32 +digits:1 +linux-arm64 +Ready +xnnpack +fp32/);
    const shown = await bench.call(['package', 'show', NAME]);
    expect(shown.stdout).toContain('- conv1 runs in xnnpack');
    expect(JSON.parse((await bench.call(['package', 'show', NAME, '-o', 'json'])).stdout).status.phase).toBe('Ready');
  });

  test('verifies a file without a server, and refuses it with one byte changed', async () => {
    await writeFile(join(bench.cwd, 'p.tar.zst'), archive);
    await writeFile(join(bench.cwd, 'ca.pem'), authority.ca);
    const args = ['package', 'verify', 'p.tar.zst', '--ca', 'ca.pem'];
    const good = await bench.call(args);
    expect(good).toMatchObject({ code: 0, stdout: expect.stringContaining('signed by CN=selvedge package signer') });
    const changed = Buffer.from(archive);
    changed[changed.length - 100] = (changed[changed.length - 100] ?? 0) ^ 1;
    await writeFile(join(bench.cwd, 'p.tar.zst'), changed);
    const bad = await bench.call([...args, '-o', 'json']);
    expect(bad.code).not.toBe(0);
    expect(JSON.parse(bad.stderr).code).toMatch(/SIGNATURE_INVALID|DIGEST_MISMATCH|ARCHIVE_UNSAFE/);
    expect((await bench.call(['package', 'verify', 'absent.tar.zst', '--ca', 'ca.pem'])).code).toBe(2);
  });

  test('verifies what is on the server, and exports it as it is or unpacked', async () => {
    await bench.serve(registry(() => [built()]));
    expect(await bench.call(['package', 'verify', NAME])).toMatchObject({ code: 0 });
    expect(await bench.call(['package', 'export', NAME])).toMatchObject({ code: 0 });
    expect(await readFile(join(bench.cwd, `${NAME}.tar.zst`))).toEqual(archive);
    expect(await bench.call(['package', 'export', NAME, '--unpack', 'out'])).toMatchObject({ code: 0 });
    expect((await readdir(join(bench.cwd, 'out'))).sort()).toEqual([
      'manifest.json',
      'model.bin',
      'provenance.dsse.json',
      'run',
      'sbom.json',
    ]);
    expect(await bench.call(['package', 'export', NAME, '--unpack', 'out'])).toMatchObject({ code: EXIT.conflict });
  });

  test('leaves nothing behind of an export that is not what it should be', async () => {
    const other = await testAuthority();
    await bench.serve({ ...registry(() => [built()]), getSigningCa: stream(() => other.ca) });
    await mkdir(join(bench.cwd, 'kept'));
    const outcome = await bench.call(['package', 'export', NAME, '-o', 'p.tar.zst']);
    expect(outcome).toMatchObject({ code: EXIT.denied, stderr: expect.stringContaining('not signed by the server') });
    expect(await bench.call(['package', 'export', NAME, '--unpack', 'out'])).toMatchObject({ code: outcome.code });
    expect(await readdir(bench.cwd)).toEqual(['kept']);
  });
});

describe('bench', () => {
  const measured = (name: string, p50: number) => ({
    ...{ device: name, cpuModel: 'x', at: AT, archiveSha256: DIGEST, images: 10, threads: 1, imagesPerS: 1000 / p50 },
    ...{ latencyMs: { p50, p90: p50, p95: p50, p99: p50 }, stagesMs: { decode: 1, preproc: 1, infer: 1, postproc: 1 } },
    ...{ coldStartMs: 9, rssBytes: 20 * 1024 * 1024, cpuTemperatureC: null, energyMj: null },
  });
  const onArm = (name: string) => {
    const one = device(name, { site: 'x' });
    const info = {
      agentVersion: '1',
      hostname: name,
      arch: 'arm64',
      platform: 'linux',
      osRelease: '',
      cpuModel: '',
      cpus: 1,
      memoryBytes: 1,
    };
    return { ...one, status: { ...one.status, info } };
  };

  test('measures every package of a version on every device with the label', async () => {
    const asked: unknown[] = [];
    await bench.serve({
      ...registry(() => []),
      listResources: ({ params }) => ({
        items: params.plural === 'packages' ? [built(), built('digits.1.linux-arm64.int8')] : [onArm('a'), onArm('b'), device('pc')],
        next: null,
      }),
      benchPackage: ({ params, body }) => {
        const { device: name } = body as { device: string };
        asked.push([params.name, name]);
        if (name === 'b') return { results: [], failures: [{ device: 'b', code: 'DEVICE_TIMEOUT', message: 'slow' }] };
        return { results: [measured(name, 2.5)], failures: [] };
      },
    });
    const outcome = await bench.call(['bench', 'digits:1', '--on', 'site=x', '--seconds', '2', '-o', 'json', '-q']);
    expect(asked).toHaveLength(4);
    const { items, failures } = JSON.parse(outcome.stdout);
    expect(items.map((item: { package: string; device: string }) => [item.device, item.package])).toEqual([
      ['a', NAME],
      ['a', 'digits.1.linux-arm64.int8'],
    ]);
    expect(failures).toHaveLength(2);
    expect(outcome.code).toBe(EXIT.unavailable);
    expect(JSON.parse(outcome.stderr).code).toBe('DEVICE_TIMEOUT');
  });

  test('tells what to build when there is no package', async () => {
    await bench.serve(registry(() => []));
    const { code, stderr } = await bench.call(['bench', 'digits:1', '--on', 'edge-1']);
    expect(code).toBe(EXIT.notFound);
    expect(stderr).toContain('selvedge build create digits:1 --target TARGET');
  });
});

describe('apply', () => {
  test('reads the C++ files that a pipeline names', async () => {
    const bodies: { documents: { spec: { build?: unknown } }[] }[] = [];
    await bench.serve({
      apply: ({ body }) => {
        bodies.push(body as (typeof bodies)[number]);
        return { results: [{ kind: 'Pipeline', name: 'digits', action: 'created', generation: 1 }] };
      },
    });
    const { spec } = pipeline('digits');
    await mkdir(join(bench.cwd, 'digits/steps'), { recursive: true });
    await writeFile(join(bench.cwd, 'digits/steps/mask.cc'), 'int mask;');
    const build = { targets: ['linux-arm64'], sources: ['./steps/mask.cc'] };
    await writeFile(join(bench.cwd, 'digits/pipeline.json'), JSON.stringify({ ...spec, build }));
    expect(await bench.call(['apply', '-f', 'digits/pipeline.json'])).toMatchObject({ code: 0 });
    expect(bodies[0]?.documents[0]?.spec.build).toEqual({
      targets: ['linux-arm64'],
      sources: [{ path: 'steps/mask.cc', text: 'int mask;' }],
    });
    await writeFile(join(bench.cwd, 'digits/pipeline.json'), JSON.stringify({ ...spec, build: { ...build, sources: ['none.cc'] } }));
    const missing = await bench.call(['apply', '-f', 'digits/pipeline.json']);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('none.cc could not be read (ENOENT)') });
  });
});
