import { Readable } from 'node:stream';
import { AppError, type DatasetVersion, goldenEnvelopeSchema, goldenSetSchema, type RolloutPolicy } from '@selvedge/contract';
import { createLogger, sha256Hex, waitUntil } from '@selvedge/runtime';
import { verifyEnvelope } from '@selvedge/runtime/package';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../testing/device-client.ts';
import { PlaneRig } from '../testing/plane-rig.ts';
import { GoldenSets } from './golden-sets.ts';

const pictures = [0, 1, 2, 3].map((index) => ({
  path: `test/${index % 2}/${index}.png`,
  bytes: Buffer.from(`picture ${index}`),
  label: index % 2,
}));

describe('golden sets', () => {
  let rig: PlaneRig;
  let sets: GoldenSets;
  const stored = new Map<string, Buffer>();
  beforeEach(async () => {
    rig = await PlaneRig.start();
    stored.clear();
    for (const { path, bytes } of pictures) stored.set(`files/${path}`, bytes);
    const version = await datasetVersion(rig);
    const resolve = async (dataset: string) => {
      if (dataset === 'digits') return { version, digest: version.status.content?.digest ?? '' };
      throw new AppError('REFERENCE_MISSING', { message: `There is no data in dataset "${dataset}".` });
    };
    const openFile = async (_tool: string, _artifact: string, path: string) => {
      const bytes = stored.get(path);
      return bytes === undefined ? undefined : Readable.from([bytes]);
    };
    const { store, blobs } = rig;
    sets = new GoldenSets({
      store,
      blobs,
      tools: { openFile },
      datasets: { resolve },
      trust: rig.plane.trust,
      clock: () => new Date(),
      log: createLogger({ name: 'test', level: 'error', write: () => undefined }),
    });
    rig.prepareGolden = (rollout) => sets.prepare(rollout);
    await rig.addVersion('digits', '1');
  });
  afterEach(async () => {
    await sets.stop();
    await rig.stop();
  });

  const deploy = (dataset: string, samples = 3) => {
    const rollout: RolloutPolicy = { golden: { dataset, samples }, gates: { goldenAccuracy: 0.9 } };
    return rig.deploy('reader', { rollout, nodeName: 'cam-1' });
  };
  const untilRollout = (phase: string) =>
    waitUntil(
      async () => {
        const found = await rig.store.get('Rollout', 'reader-1');
        return found?.status.phase === phase ? found : undefined;
      },
      { timeoutMs: 30_000, intervalMs: 5, what: `a rollout that is ${phase}` },
    );

  it('are signed, fetched by the devices that are told of them alone, and hold samples of each class', async () => {
    const identity = await rig.join('cam-1');
    const stranger = await rig.join('cam-2');
    const device = await rig.connect(identity);
    await deploy('digits@1');
    const state = await device.untilDesired(({ workloads }) => workloads[0]?.trial?.golden !== undefined);
    const golden = state.workloads[0]?.trial?.golden;
    const answer = await ask(rig.port, `/device/v1/blobs/${golden?.sha256}`, { identity });
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.body).toHaveLength(golden?.sizeBytes ?? 0);
    const { payload } = verifyEnvelope(goldenEnvelopeSchema.parse(answer.json()), identity.ca);
    const set = goldenSetSchema.parse(JSON.parse(payload.toString('utf8')));
    expect(set).toMatchObject({ dataset: 'digits@1', metric: 'accuracy' });
    expect(set.samples.map(({ label }) => label).sort()).toEqual(['one', 'zero', 'zero']);
    expect(pictures.map(({ bytes }) => bytes.toString())).toContain(Buffer.from(set.samples[0]?.bodyBase64 ?? '', 'base64').toString());
    expect((await ask(rig.port, `/device/v1/blobs/${golden?.sha256}`, { identity: stranger })).status).toBe(404);
  });

  it('fail the rollout before any device is told when there can be none', async () => {
    const device = await rig.connect(await rig.join('cam-1'));
    await deploy('cats');
    const failed = await untilRollout('failed');
    expect(failed.status.message).toContain('REFERENCE_MISSING: There is no data in dataset "cats"');
    expect(device.desired.at(-1)?.workloads ?? []).toEqual([]);
  });

  it('are not made of files that are not what the manifest says', async () => {
    for (const { path } of pictures) stored.set(`files/${path}`, Buffer.from('damaged !'));
    await rig.connect(await rig.join('cam-1'));
    await deploy('digits');
    expect((await untilRollout('failed')).status.message).toContain('DIGEST_MISMATCH');
  });
});

async function datasetVersion(rig: PlaneRig): Promise<DatasetVersion> {
  const lines = pictures.map(({ path, bytes, label }) =>
    JSON.stringify({ path, sha256: sha256Hex(bytes), sizeBytes: bytes.length, split: 'test', label }),
  );
  const manifest = await rig.blobs.put(Readable.from([`${lines.join('\n')}\n`]));
  return await rig.store.create('DatasetVersion', {
    name: 'digits.v1',
    labels: {},
    annotations: {},
    spec: { dataset: 'digits', version: 1, source: { type: 'upload', fileName: 'digits.tar' }, archive: null, testShare: 0 },
    status: {
      phase: 'Ready',
      message: '',
      artifact: 'digits.v1',
      content: { digest: manifest.sha256, files: 4, sizeBytes: 1, labels: ['zero', 'one'], splits: { test: 4 } },
    } as DatasetVersion['status'],
  });
}
