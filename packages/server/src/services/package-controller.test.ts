import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Package } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { verifyPackageArchive } from '@selvedge/runtime/package';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SMALL_PIPELINE, TestServer } from '../testing/test-server.ts';

const NAME = 'thing.1.linux-armv7.fp32';
const settled = (one: Package) =>
  ['Ready', 'Failed'].includes(one.status.phase) && one.status.observedGeneration === one.metadata.generation;

describe('packages', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.applyPipeline('pipe');
    await server.client.startRun({ params: { name: 'pipe' }, body: {} });
    await server.waitForRun('pipe-1', (run) => run.status.phase === 'Succeeded', 'succeeded');
  });
  afterEach(() => server.stop());

  const document = (spec: object = {}) => ({
    apiVersion: 'selvedge.dev/v1alpha1' as const,
    kind: 'Package' as const,
    metadata: { name: NAME },
    spec: { model: 'thing', version: '1', target: 'linux-armv7', ...spec },
  });
  const apply = (spec: object = {}) => server.client.apply({ body: { documents: [document(spec)] } });
  const untilPackage = (what: string, test: (one: Package) => boolean) =>
    waitUntil(
      async () => {
        const one = await server.resource('Package', NAME);
        return test(one) ? one : undefined;
      },
      { timeoutMs: 20_000, what: `the package to be ${what}` },
    );
  const download = async () => Buffer.from(await (await server.fetch(`/api/v1/packages/${NAME}/archive`)).arrayBuffer());
  const ca = async () => (await server.fetch('/api/v1/ca')).text();

  it('are built, signed, and verify with the authority that the server shows', async () => {
    await apply();
    const ready = await untilPackage('built', settled);
    expect(ready.status).toMatchObject({ phase: 'Ready', progress: 1, engine: 'xnnpack', precision: 'fp32', error: null });
    expect(ready.status.notes).toEqual(['all of it is xnnpack']);
    const archive = await download();
    expect(archive.length).toBe(ready.status.archive?.sizeBytes);
    const folder = await mkdtemp(join(tmpdir(), 'unpack-'));
    const verified = await verifyPackageArchive({
      source: Readable.from([archive]),
      ca: await ca(),
      expected: { archiveSha256: ready.status.archive?.sha256 ?? '', manifestSha256: ready.status.manifestSha256 ?? '' },
      destination: join(folder, 'out'),
    });
    expect(await readFile(join(folder, 'out', 'model.bin'), 'utf8')).toBe('weights');
    expect(verified.manifest).toEqual(ready.status.manifest);
    await rm(folder, { recursive: true });
    expect((await server.createdBy('build')).filter((name) => name.startsWith(NAME))).toHaveLength(1);
    const log = await (await server.fetch(`/api/v1/packages/${NAME}/log?follow=1`)).text();
    expect(log).toContain('model: 10 bytes');
    expect(log).toContain('golden: 15 bytes');
    expect(log).toContain('samples:');
    expect(await apply()).toMatchObject({ results: [{ action: 'unchanged' }] });
  });

  it('go on after the server was stopped in the middle, and are asked for once', async () => {
    await server.toolFlag('build', 'hold', true);
    await apply();
    const building = await untilPackage('being built', (one) => one.status.phase === 'Building');
    await server.stopServer();
    await server.toolFlag('build', 'hold', false);
    await server.startAgain();
    const ready = await untilPackage('built', settled);
    expect(ready.status.phase).toBe('Ready');
    expect(ready.status.artifact).toBe(building.status.artifact);
  });

  it("fail with the tool's error, and are tried again when they are deleted and applied", async () => {
    await server.toolFlag('build', 'fail', true);
    await apply();
    const failed = await untilPackage('failed', settled);
    expect(failed.status).toMatchObject({ phase: 'Failed', archive: null, error: { code: 'DATASET_FORMAT', message: 'the data is bad' } });
    expect((await server.fetch(`/api/v1/packages/${NAME}/archive`)).status).toBe(409);
    await server.toolFlag('build', 'fail', false);
    await server.client.deleteResource({ params: { plural: 'packages', name: NAME } });
    await apply();
    expect((await untilPackage('built', settled)).status.phase).toBe('Ready');
  });

  it('are built anew when their spec changes, and what was built stays until then', async () => {
    await apply();
    const first = await untilPackage('built', settled);
    await server.toolFlag('build', 'hold', true);
    await apply({ build: { precision: 'int8' } });
    const again = await untilPackage('built anew', (one) => one.metadata.generation === 2 && one.status.phase === 'Building');
    expect(again.status.archive).toEqual(first.status.archive);
    await server.toolFlag('build', 'hold', false);
    expect((await untilPackage('built', settled)).status.phase).toBe('Ready');
  });

  it('fail when what the tool made does not hold together', async () => {
    await writeFile(join(server.dir, 'tools', 'build', 'spoil'), '');
    await apply();
    const failed = await untilPackage('failed', settled);
    expect(failed.status.error).toMatchObject({ code: 'BUILD_FAILED', message: expect.stringContaining('run') });
  });

  it('are refused of a version or for a target that does not exist', async () => {
    await expect(apply({ version: '9' })).rejects.toMatchObject({
      code: 'REFERENCE_MISSING',
      details: { issues: [{ path: 'documents[0].spec.version' }] },
    });
    await expect(apply({ target: 'linux-vax' })).rejects.toMatchObject({ code: 'TARGET_UNKNOWN' });
    const { items } = await server.client.listTargets({});
    expect(items.map((target) => [target.name, target.installed])).toEqual([
      ['linux-amd64', false],
      ['linux-arm64', false],
      ['linux-armv7', false],
      ['linux-riscv64', false],
    ]);
  });

  it('go with the version that they are of', async () => {
    await apply();
    await untilPackage('built', settled);
    await server.client.deleteResource({ params: { plural: 'modelversions', name: 'thing.v1' } });
    expect((await server.fetch(`/api/v1/resources/packages/${NAME}`)).status).toBe(404);
  });

  it('are built by a pipeline that asks for them, as its last step', async () => {
    await server.applyPipeline('native', { ...SMALL_PIPELINE, build: { targets: ['linux-armv7', 'linux-arm64'] } });
    await server.client.startRun({ params: { name: 'native' }, body: {} });
    const run = await server.waitForRun('native-1', (one) => one.status.phase !== 'Running' && one.status.phase !== 'Pending', 'finished');
    expect(run.status.steps.map((step) => [step.name, step.state]).slice(-2)).toEqual([
      ['register', 'completed'],
      ['build', 'completed'],
    ]);
    expect(run.status.message).toBe('built thing.2.linux-armv7.fp32, thing.2.linux-arm64.fp32');
    expect((await server.resource('Package', 'thing.2.linux-arm64.fp32')).status.phase).toBe('Ready');
  });

  it('fail or end with the run that asked for them', async () => {
    await server.applyPipeline('native', { ...SMALL_PIPELINE, build: { targets: ['linux-armv7'] } });
    await server.toolFlag('build', 'hold', true);
    await server.client.startRun({ params: { name: 'native' }, body: {} });
    await server.waitForRun('native-1', (one) => one.status.steps.at(-1)?.state === 'running', 'building');
    await waitUntil(async () => (await server.fetch('/api/v1/resources/packages/thing.2.linux-armv7.fp32')).status === 200, {
      timeoutMs: 30_000,
      what: 'the package',
    });
    await server.client.cancelRun({ params: { name: 'native-1' } });
    await server.waitForRun('native-1', (one) => one.status.phase === 'Cancelled', 'cancelled');
    expect((await server.fetch('/api/v1/resources/packages/thing.2.linux-armv7.fp32')).status).toBe(404);
    await server.toolFlag('build', 'fail', true);
    await server.toolFlag('build', 'hold', false);
    await server.client.startRun({ params: { name: 'native' }, body: {} });
    const failed = await server.waitForRun('native-2', (one) => one.status.phase === 'Failed', 'failed');
    expect(failed.status).toMatchObject({ modelVersion: 'thing/3', error: { code: 'DATASET_FORMAT' } });
  });
});
