// What a native package counts is what the model server counts of the same inputs: the agent reads both in one way.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageManifestSchema, type ResultSummary, type WorkloadReport } from '@selvedge/contract';
import { inspectModel, writeModel } from '@selvedge/graph/onnx';
import { createLogger, sha256Hex } from '@selvedge/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseModelMetrics } from '../../packages/agent/src/domain/model-metrics.ts';
import { servePackage } from '../../packages/agent/src/model-server/serve-package.ts';
import type { ModelProcess } from '../../packages/agent/src/ports/model-process.ts';
import { ResultsWatch } from '../../packages/agent/src/services/results-watch.ts';
import { writePackage } from '../../packages/agent/src/testing/make-package.ts';
import { type AgreementModel, writeSampleSet, writeTestPictures } from './harness/agreement/agreement-model.ts';
import { buildTestPackage } from './harness/agreement/built-package.ts';
import { digitModel } from './harness/agreement/digit-cnn.ts';
import { detectorModel } from './harness/agreement/small-detector.ts';
import { ready } from './harness/fake-server.ts';
import { testTarget } from './harness/targets.ts';

const PICTURES = 40;
const log = createLogger({ name: 'test', write: () => undefined });
let folder: string;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-counters-'));
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function startNative(model: AgreementModel, own: string): Promise<string> {
  await writeSampleSet(model, join(own, 'samples'));
  const build = { engine: 'xnnpack', precision: 'fp32' } as const;
  const { files } = await buildTestPackage({
    ...{ model, build, samples: join(own, 'samples'), folder: own },
    target: await testTarget('linux-amd64'),
  });
  const child: ChildProcess = spawn(join(files, 'run'), ['--serve', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] });
  ends.push(async () => {
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  if (child.stdout === null) throw new Error('the package has no stdout');
  const [line] = await once(createInterface(child.stdout), 'line');
  return `http://127.0.0.1:${JSON.parse(String(line)).port}`;
}

async function startModelServer(model: AgreementModel, own: string): Promise<string> {
  const bytes = Buffer.from(writeModel(model.model));
  const { name, labels, preproc, postproc } = model;
  const { inputs, outputs } = inspectModel(model.model);
  const manifest = packageManifestSchema.parse({
    ...{ formatVersion: 1, runtime: 'model-server', model: name, version: '1', modelFile: 'model.onnx', goldenFile: null },
    ...{ inputs, outputs, labels: [...labels], preproc, postproc },
    files: [{ path: 'model.onnx', sha256: sha256Hex(bytes), sizeBytes: bytes.length }],
  });
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  await writePackage(own, { manifest, manifestBytes, blobs: new Map([[sha256Hex(bytes), bytes]]) });
  const served = await servePackage({ folder: own, port: 0, log });
  ends.push(async () => served.server.close());
  await served.ready;
  return `http://127.0.0.1:${served.port}`;
}

/** Every picture once, some twice, and requests that are refused. @returns the summary that the agent keeps of it. */
async function feed(url: string, pictures: readonly Buffer[]): Promise<ResultSummary> {
  const kept: ResultSummary[] = [];
  const process = { read: async (path: string) => (await fetch(url + path)).text() } as ModelProcess;
  const report = { name: 'w', model: 'm', servingVersion: '1' } as WorkloadReport;
  let now = 0;
  const watch = new ResultsWatch({
    ...{ workloads: () => [report], serving: () => process, intervalMs: () => 1000, clock: () => now, log },
    keep: (summary) => kept.push(summary),
  });
  await watch.look();
  const post = async (body: Buffer, type: string) => {
    const response = await fetch(`${url}/v1/infer`, { method: 'POST', body: new Uint8Array(body), headers: { 'content-type': type } });
    await response.arrayBuffer();
    return response.status;
  };
  for (const [index, picture] of pictures.entries()) {
    expect(await post(picture, 'application/octet-stream')).toBe(200);
    if (index % 4 === 0) await post(picture, 'application/octet-stream');
  }
  expect(await post(Buffer.from('no picture'), 'image/jpeg')).toBe(422);
  expect(await post(Buffer.from('no picture'), 'text/html')).toBe(415);
  now = 1000;
  await watch.look();
  const [summary] = kept;
  if (summary === undefined) throw new Error('nothing was kept');
  return summary;
}

describe.each([
  ['a classifier', digitModel],
  ['a detector', async () => detectorModel()],
])('%s', (name, make) => {
  it('is counted as the model server counts it', async () => {
    const model = await make();
    const own = join(folder, name);
    const names = await writeTestPictures(model, join(own, 'pictures'), PICTURES);
    const pictures = await Promise.all(names.map((file) => readFile(join(own, 'pictures', file))));
    const [native, reference] = [await startNative(model, join(own, 'native')), await startModelServer(model, join(own, 'reference'))];
    await ready(native);
    const [counted, expected] = [await feed(native, pictures), await feed(reference, pictures)];
    expect(expected).toMatchObject({ requests: PICTURES * 1.25 + 2, errors: 0 });
    const { requests, errors, confidence, classes } = expected;
    expect(counted).toMatchObject({ requests, errors, confidence });
    expect(new Map(counted.classes)).toEqual(new Map(classes));
    expect(new Set(expected.classes?.map(([label]) => label)).size).toBeGreaterThan(1);
    expect(confidence?.filter((count) => count > 0).length).toBeGreaterThan(1);
    const [a, b] = await Promise.all(
      [native, reference].map(async (url) => parseModelMetrics(await (await fetch(`${url}/metrics`)).text())),
    );
    expect(a?.confidenceSum).toBeCloseTo(b?.confidenceSum ?? Number.NaN, 3);
    expect(a?.latencyMs?.bounds).toEqual(b?.latencyMs?.bounds);
  });
});
