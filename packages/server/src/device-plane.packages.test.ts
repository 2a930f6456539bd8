import { Readable } from 'node:stream';
import { commandSchema, type InferenceModel } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { builtPackage } from './testing/built-package.ts';
import { ask, type Identity, type TestDevice } from './testing/device-client.ts';
import { PlaneRig } from './testing/plane-rig.ts';

const condition = (model: InferenceModel, type: string) => model.status.conditions.find((entry) => entry.type === type);
const measured = (p95: number) => ({
  ...{ images: 10, threads: 1, imagesPerS: 100, latencyMs: { p50: p95, p90: p95, p95, p99: p95 } },
  ...{
    stagesMs: { decode: 1, preproc: 1, infer: 1, postproc: 1 },
    coldStartMs: 9,
    rssBytes: 20_000_000,
    cpuTemperatureC: null,
    energyMj: null,
  },
});

describe('native packages on a fleet', () => {
  let rig: PlaneRig;
  beforeEach(async () => {
    rig = await PlaneRig.start();
  });
  afterEach(() => rig.stop());

  async function addPackage(name: string, facts: Parameters<typeof builtPackage>[1] = {}) {
    const archive = await rig.blobs.put(Readable.from([Buffer.from(`archive ${name}`)]));
    const { metadata, spec, status } = builtPackage(name, { ...facts, archive });
    await rig.store.create('Package', { name, labels: metadata.labels, annotations: {}, spec, status });
    return archive;
  }

  /** A device that has reported what it is: an x64 Linux machine. */
  async function join(name: string): Promise<{ identity: Identity; device: TestDevice }> {
    const identity = await rig.join(name);
    const device = await rig.connect(identity);
    await device.report([], 0);
    await rig.untilDevice(name, (found) => found.status.info !== null);
    return { identity, device };
  }

  /** Answers every bench command with this. */
  function answer(device: TestDevice, outcome: () => object): void {
    device.client.on('message', (topic, payload) => {
      if (!topic.endsWith('/commands')) return;
      const { id } = commandSchema.parse(JSON.parse(payload.toString()));
      device.publish('replies', { id, outcome: outcome() }).catch(() => undefined); // the test may end before it is acknowledged
    });
  }

  it('reach the devices of their target by themselves, and are fetched by those that are told of them alone', async () => {
    const { identity, device } = await join('cam-1');
    const other = await join('cam-2');
    await rig.addVersion('digits', '1');
    await rig.deploy('reader', { nodeName: 'cam-1' });
    await device.untilDesired((state) => state.workloads[0]?.version === '1' && state.workloads[0].native === undefined);
    await addPackage('for-arm', { target: 'linux-armv7' });
    const archive = await addPackage('for-pc');
    const told = await device.untilDesired((state) => state.workloads[0]?.native !== undefined);
    expect(told.workloads[0]?.native).toMatchObject({ package: 'for-pc', target: 'linux-amd64', archive });
    const path = `/device/v1/blobs/${archive.sha256}`;
    expect((await ask(rig.port, path, { identity })).body.toString()).toBe('archive for-pc');
    expect((await ask(rig.port, path, { identity, headers: { range: 'bytes=8-' } })).body.toString()).toBe('for-pc');
    expect((await ask(rig.port, path, { identity: other.identity })).status).toBe(404);
    await device.reportServing({ runtime: 'for-pc' });
    const served = await rig.untilModel('reader', (model) => model.status.servingVersion === '1');
    expect(served.status.devices[0]?.runtime).toBe('for-pc');
    await rig.store.delete('Package', 'for-pc');
    await device.untilDesired((state) => state.workloads[0]?.version === '1' && state.workloads[0].native === undefined);
  });

  it('are measured on devices, which may fetch them for that, and what was measured is kept', async () => {
    const { identity, device } = await join('cam-1');
    await join('cam-2').then(({ device: second }) =>
      answer(second, () => ({ ok: false, error: { code: 'DISK_FULL', message: 'no room' } })),
    );
    const archive = await addPackage('for-pc');
    const fetched: string[] = [];
    device.client.on('message', (topic, payload) => {
      if (!topic.endsWith('/commands')) return;
      const { id } = commandSchema.parse(JSON.parse(payload.toString()));
      void ask(rig.port, `/device/v1/blobs/${archive.sha256}`, { identity }).then((got) => {
        fetched.push(got.body.toString());
        return device.publish('replies', { id, outcome: { ok: true, bench: measured(12) } });
      });
    });
    const { results, failures } = await rig.plane.bench({ name: 'for-pc', seconds: 1 });
    expect(fetched).toEqual(['archive for-pc']);
    expect(results).toMatchObject([{ device: 'cam-1', archiveSha256: archive.sha256, latencyMs: { p95: 12 } }]);
    expect(failures).toEqual([{ device: 'cam-2', code: 'DISK_FULL', message: 'no room' }]);
    await rig.plane.bench({ name: 'for-pc', device: 'cam-1' });
    expect((await rig.store.get('Package', 'for-pc'))?.status.benchmarks.map((one) => one.device)).toEqual(['cam-1']);
    expect((await ask(rig.port, `/device/v1/blobs/${archive.sha256}`, { identity })).status).toBe(404);
  });

  it('are not measured where they cannot run', async () => {
    const { device } = await join('cam-1');
    await addPackage('for-arm', { target: 'linux-armv7' });
    await addPackage('for-pc');
    await expect(rig.plane.bench({ name: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(rig.plane.bench({ name: 'for-arm' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await rig.plane.bench({ name: 'for-arm', device: 'cam-1' })).failures).toMatchObject([{ device: 'cam-1', code: 'CONFLICT' }]);
    device.client.end(true);
    await rig.untilDevice('cam-1', (found) => !found.status.online);
    await expect(rig.plane.bench({ name: 'for-pc' })).rejects.toMatchObject({ code: 'DEVICE_OFFLINE' });
    expect((await rig.plane.bench({ name: 'for-pc', device: 'cam-1' })).failures).toMatchObject([{ code: 'DEVICE_OFFLINE' }]);
  });

  it('open or close the gates of the task: a version that is too slow or not measured is not placed', async () => {
    const { device } = await join('cam-1');
    let p95 = 40;
    answer(device, () => ({ ok: true, bench: measured(p95) }));
    const empty = { labels: {}, annotations: {} };
    const text = {
      description: 'd',
      output: 'o',
      archives: 'a',
      evaluation_criterias: ['accuracy'],
      cost_function: 'c',
      evaluation_dataset: 'e',
    };
    const pipelineSpec = {
      dataset: { name: 'd', path: { train: 'train', test: 'test' } },
      model: { name: 'digits', hyperparams: { lr: 0.1, batch_size: 1, epochs: 1 } },
      ...{ preproc: { pipeline: [] }, postproc: { pipeline: [] }, task: 'org.digits' },
    };
    await rig.store.create('Pipeline', { ...empty, name: 'pipe', spec: pipelineSpec, status: { lastRun: null, lastRunState: null } });
    await rig.addVersion('digits', '1');
    await rig.deploy('reader');
    await device.untilDesired((state) => state.workloads[0]?.version === '1');
    await device.reportServing();
    await rig.store.create('Task', {
      ...empty,
      name: 'org.digits',
      spec: { ...text, constraints: 'No cloud. \np95Ms <= 30' },
      status: { pipelines: [] },
    });
    await rig.addVersion('digits', '2');
    const lineage = {
      run: 'r',
      pipeline: 'pipe',
      pipelineGeneration: 1,
      dataset: { name: 'd', version: 1, digest: 'a'.repeat(64) },
      parameters: {},
      tools: {},
    };
    const ofPipeline = (version: string) =>
      rig.store.update('ModelVersion', `digits.v${version}`, ({ metadata, spec, status }) => ({
        ...empty,
        name: metadata.name,
        spec: { ...spec, lineage },
        status,
      }));
    await ofPipeline('2');
    const unmeasured = await rig.untilModel('reader', (model) => condition(model, 'Progressing')?.reason === 'GateNotMeasured');
    expect(condition(unmeasured, 'Progressing')?.message).toContain('p95Ms <= 30: not measured; measure it with "selvedge bench digits:2');
    expect(condition(unmeasured, 'GatesPassed')).toMatchObject({ status: 'False', reason: 'GateNotMeasured' });

    await addPackage('fast', { version: '2' });
    await rig.plane.bench({ name: 'fast', device: 'cam-1' });
    const slow = await rig.untilModel('reader', (model) => condition(model, 'Progressing')?.reason === 'GateNotPassed');
    expect(condition(slow, 'Progressing')?.message).toContain('p95Ms <= 30: 40 on cam-1');
    const gates = async () => (await rig.store.get('ModelVersion', 'digits.v2'))?.status.gates;
    await expect.poll(gates).toMatchObject([{ metric: 'p95Ms', wanted: 30, value: 40, passed: false }]);

    p95 = 12;
    await rig.plane.bench({ name: 'fast', device: 'cam-1' });
    const placed = await device.untilDesired((state) => state.workloads[0]?.version === '2');
    expect(placed.workloads[0]?.native?.package).toBe('fast');
    await waitUntil(async () => (await rig.store.get('ModelVersion', 'digits.v2'))?.status.gates?.[0]?.passed === true, {
      timeoutMs: 30_000,
      what: 'the gate to be passed',
    });
  });
});
