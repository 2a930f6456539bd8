import {
  type AnyResource,
  commandSchema,
  type DeviceBudgets,
  type InferenceModel,
  MAX_INFER_BODY_BYTES,
  type TelemetrySample,
} from '@selvedge/contract';
import { sha256Hex, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, type TestDevice } from './testing/device-client.ts';
import { PlaneRig } from './testing/plane-rig.ts';

const condition = (model: InferenceModel, type: string) => model.status.conditions.find((entry) => entry.type === type);

/** Answers every infer command with this. */
function answerWith(device: TestDevice, outcome: (body: Buffer) => object): void {
  device.client.on('message', (topic, payload) => {
    if (!topic.endsWith('/commands')) return;
    const command = commandSchema.parse(JSON.parse(payload.toString()));
    if (command.type !== 'infer') return;
    const reply = { id: command.id, outcome: outcome(Buffer.from(command.bodyBase64, 'base64')) };
    device.publish('replies', reply).catch(() => undefined); // the test may end before it is acknowledged
  });
}
const result = (text: string) => ({ ok: true, infer: { model: 'digits', version: '1', latencyMs: 1, result: { text } } });

describe('a fleet', () => {
  let rig: PlaneRig;
  beforeEach(async () => {
    rig = await PlaneRig.start();
  });
  afterEach(() => rig.stop());

  const fleet = async (...names: string[]) => {
    const identities = await Promise.all(names.map((name) => rig.join(name, { tier: 'edge' })));
    return await Promise.all(identities.map((identity) => rig.connect(identity)));
  };

  describe('deployment', () => {
    it('reaches connected devices, follows the alias, and is reported as the devices report it', async () => {
      const devices = await fleet('cam-1', 'cam-2');
      await rig.addVersion('digits', '1');
      await rig.deploy('reader', { nodeSelector: { tier: 'edge' } });
      for (const device of devices) {
        await device.untilDesired((state) => state.workloads[0]?.version === '1');
        await device.reportServing();
      }
      const served = await rig.untilModel('reader', (model) => model.status.servingVersion === '1');
      expect(served.status).toMatchObject({ resolvedVersion: '1', url: 'http://127.0.0.1:9000', observedGeneration: 1 });
      expect(condition(served, 'Available')).toMatchObject({ status: 'True', reason: 'Serving' });
      expect(condition(served, 'Progressing')).toMatchObject({ status: 'False', reason: 'Complete' });
      await expect.poll(async () => (await rig.store.get('ModelVersion', 'digits.v1'))?.status.servedBy).toBe(2);

      await rig.addVersion('digits', '2');
      await devices[0]?.untilDesired((state) => state.workloads[0]?.version === '2');
      await devices[0]?.reportServing();
      const half = await rig.untilModel('reader', (model) => model.status.servingVersion === '');
      expect(half.status.devices.map((entry) => entry.servingVersion)).toEqual(['2', '1']);
      expect(condition(half, 'Progressing')).toMatchObject({ status: 'True', reason: 'RollingOut' });
    });

    it('gives a device that connects later its desired state, also after a server restart, and no lower revision', async () => {
      const identity = await rig.join('cam-1');
      await rig.addVersion('digits', '1');
      await rig.deploy('reader');
      const before = await (await rig.connect(identity)).untilDesired((state) => state.workloads.length === 1);
      await rig.restart();
      const device = await rig.connect(identity);
      expect(await device.untilDesired(() => true)).toEqual(before);
      await rig.store.delete('InferenceModel', 'reader');
      expect(await device.untilDesired((state) => state.workloads.length === 0)).toMatchObject({ revision: before.revision + 1 });
      await rig.plane.removeDevice('cam-1');
      const again = await rig.connect(await rig.join('cam-1'));
      expect((await again.untilDesired(() => true)).revision).toBeGreaterThan(before.revision);
    });

    it('tells a device its budgets with a growing revision, also without workloads, and takes them away', async () => {
      const [device] = await fleet('cam-1');
      const before = await device?.untilDesired(() => true);
      const set = (budgets: DeviceBudgets) =>
        rig.store.update('Device', 'cam-1', ({ metadata: { name, labels, annotations }, spec, status }) => {
          return { name, labels, annotations, spec: { ...spec, budgets }, status };
        });
      await set({ trafficMiBPerDay: 50, telemetryIntervalS: 300 });
      const told = await device?.untilDesired((state) => state.budgets !== undefined);
      expect(told).toMatchObject({ workloads: [], budgets: { trafficMiBPerDay: 50, telemetryIntervalS: 300 } });
      expect(told?.revision).toBeGreaterThan(before?.revision ?? 0);
      await rig.restart();
      expect(await rig.store.readDesiredState('cam-1')).toEqual(told);
      await set({});
      await expect.poll(async () => (await rig.store.readDesiredState('cam-1'))?.budgets).toBeUndefined();
    });

    it('says plainly what it cannot do, and stops what ran before', async () => {
      const [device] = await fleet('cam-1');
      await rig.addVersion('digits', '1');
      await rig.deploy('reader');
      await device?.untilDesired((state) => state.workloads.length === 1);
      await rig.deploy('reader', { image: 'registry/x:1' });
      await device?.untilDesired((state) => state.workloads.length === 0);
      const refused = await rig.untilModel('reader', (model) => model.status.observedGeneration === 2);
      expect(condition(refused, 'Available')).toMatchObject({ status: 'False', reason: 'ImageNeedsKubernetes' });
    });

    it('gives a fixed port to one of two that want it, and tells the other', async () => {
      const [device] = await fleet('cam-1');
      await rig.addVersion('digits', '1');
      await rig.deploy('first', { servingPort: 9100 });
      await device?.untilDesired((state) => state.workloads.length === 1);
      await rig.deploy('second', { servingPort: 9100 });
      const second = await rig.untilModel('second', (model) => model.status.conditions.length > 0);
      expect(condition(second, 'Available')).toMatchObject({ status: 'False', reason: 'ServingPortTaken' });
      await rig.deploy('first', { servingPort: 9101 });
      const both = await device?.untilDesired((state) => state.workloads.length === 2);
      expect(both?.workloads.map((workload) => workload.servingPort)).toEqual([9101, 9100]);
    });

    it('follows labels as they change', async () => {
      const [device] = await fleet('cam-1');
      await rig.addVersion('digits', '1');
      await rig.deploy('reader', { nodeSelector: { tier: 'core' } });
      const none = await rig.untilModel('reader', (model) => model.status.conditions.length > 0);
      expect(condition(none, 'Available')).toMatchObject({ reason: 'NoMatchingDevice' });
      await rig.store.update('Device', 'cam-1', ({ spec, status }) => ({
        name: 'cam-1',
        annotations: {},
        labels: { tier: 'core' },
        spec,
        status,
      }));
      await device?.untilDesired((state) => state.workloads.length === 1);
    });
  });

  describe('files', () => {
    it('come whole or in ranges, to the devices that need them alone', async () => {
      const content = Buffer.from('0123456789');
      const needs = await rig.join('cam-1');
      const other = await rig.join('cam-2');
      const manifest = await rig.addVersion('digits', '1', content);
      await rig.deploy('reader', { nodeName: 'cam-1' });
      const desired = await (await rig.connect(needs)).untilDesired((state) => state.workloads.length === 1);
      const bundle = desired.workloads[0]?.manifest.sha256 ?? '';
      const file = manifest.files[0]?.sha256 ?? '';
      const get = (sha256: string, headers: Record<string, string> = {}, identity = needs, method = 'GET') =>
        ask(rig.port, `/device/v1/blobs/${sha256}`, { identity, headers, method });

      expect(sha256Hex((await get(bundle)).body)).toBe(bundle);
      const whole = await get(file);
      expect(whole).toMatchObject({ status: 200, headers: { etag: `"${file}"`, 'accept-ranges': 'bytes', 'content-length': '10' } });
      expect(whole.body).toEqual(content);
      const part = await get(file, { range: 'bytes=4-' });
      expect(part).toMatchObject({ status: 206, headers: { 'content-range': 'bytes 4-9/10' } });
      expect(part.body.toString()).toBe('456789');
      expect((await get(file, { range: 'bytes=4-', 'if-range': '"other"' })).status).toBe(200);
      expect((await get(file, { range: 'bytes=4-', 'if-range': `"${file}"` })).status).toBe(206);
      expect(await get(file, { range: 'bytes=10-' })).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */10' } });
      expect((await get(file, { 'if-none-match': `"${file}"` })).status).toBe(304);
      const head = await get(file, {}, needs, 'HEAD');
      expect(head).toMatchObject({ status: 200, headers: { 'content-length': '10' } });
      expect(head.body).toHaveLength(0);

      expect((await get(file, {}, other)).status).toBe(404);
      expect((await get('ab'.repeat(32))).status).toBe(404);
      expect((await ask(rig.port, '/device/v1/blobs/../x', { identity: needs })).status).toBe(404);
    });

    it('of megabytes arrive unharmed', async () => {
      const content = Buffer.alloc(5_000_000, 'selvedge ');
      const identity = await rig.join('cam-1');
      const manifest = await rig.addVersion('digits', '1', content);
      await rig.deploy('reader');
      await (await rig.connect(identity)).untilDesired((state) => state.workloads.length === 1);
      const answer = await ask(rig.port, `/device/v1/blobs/${manifest.files[0]?.sha256}`, { identity });
      expect(answer.body.equals(content)).toBe(true);
    });
  });

  describe('presence and telemetry', () => {
    const sample = (at: string): TelemetrySample => ({
      at,
      cpu: 0.5,
      memoryUsedBytes: 1,
      memoryTotalBytes: 2,
      diskUsedBytes: null,
      diskTotalBytes: null,
      temperatureC: null,
      networkRxBytes: null,
      networkTxBytes: null,
      agentRssBytes: null,
    });

    it('shows who is connected, and nobody after a server start', async () => {
      const identity = await rig.join('cam-1');
      const device = await rig.connect(identity);
      await rig.untilDevice('cam-1', ({ status }) => status.online);
      expect(rig.plane.counts()).toEqual({ total: 1, online: 1 });
      device.client.end(true);
      await rig.untilDevice('cam-1', ({ status }) => !status.online && status.lastSeenAt !== null);
      await rig.connect(identity);
      await rig.untilDevice('cam-1', ({ status }) => status.online);
      await rig.restart();
      expect((await rig.store.get('Device', 'cam-1'))?.status.online).toBe(false);
    });

    it('keeps every sample before it is acknowledged, and writes the resource for the first only', async () => {
      const device = await rig.connect(await rig.join('cam-1'));
      await rig.untilDevice('cam-1', ({ status }) => status.online);
      const written: AnyResource[] = [];
      rig.hub.subscribe((event) => {
        if (event.type === 'resource' && event.resource.kind === 'Device') written.push(event.resource);
      });
      const start = Date.now();
      for (let index = 0; index < 20; index += 1)
        await device.publish('telemetry', { samples: [sample(new Date(start + index).toISOString())] });
      expect(await rig.store.readTelemetry('cam-1', new Date(start).toISOString())).toHaveLength(20);
      await rig.untilDevice('cam-1', ({ status }) => status.telemetry !== null);
      expect(written).toHaveLength(1);
    });

    it('ignores what is stale or malformed', async () => {
      const device = await rig.connect(await rig.join('cam-1'));
      await device.report([], 7, 5);
      await device.report([], 3, 4);
      await device.publish('reported', { nonsense: true });
      await device.publish('telemetry', { samples: [] });
      expect((await rig.store.get('Device', 'cam-1'))?.status.observedRevision).toBe(7);
      expect(device.client.connected).toBe(true);
    });

    it('shows two agents with one identity as a conflict until one of them has been quiet for long', async () => {
      const identity = await rig.join('cam-1');
      await rig.connect(identity, 'original');
      await rig.connect(identity, 'copy');
      expect((await rig.untilDevice('cam-1', ({ status }) => status.online)).status.conflict).toBeNull();
      await rig.connect(identity, 'original');
      const { conflict } = (await rig.untilDevice('cam-1', ({ status }) => status.conflict !== null)).status;
      expect(conflict?.instances.map((instance) => instance.instanceId).sort()).toEqual(['copy', 'original']);
      expect(conflict?.instances[0]?.address).toMatch(/^127\.0\.0\.1:\d+$/);
      await rig.restart();
      expect((await rig.store.get('Device', 'cam-1'))?.status.conflict?.since).toBe(conflict?.since);
      rig.skewMs = 601_000;
      await rig.connect(identity, 'original');
      await rig.untilDevice('cam-1', ({ status }) => status.conflict === null);
    });
  });

  describe('inference', () => {
    const serve = async (...names: string[]) => {
      const devices = await fleet(...names);
      await rig.addVersion('digits', '1');
      await rig.deploy('reader');
      for (const device of devices) {
        await device.untilDesired((state) => state.workloads.length === 1);
        await device.reportServing();
      }
      await rig.untilModel('reader', (model) => model.status.servingVersion === '1');
      return devices;
    };
    const infer = (overrides: object = {}) =>
      rig.plane.infer({ name: 'reader', body: Buffer.from('picture'), contentType: 'image/png', ...overrides });

    it('takes turns among the devices that serve, and goes to the one that is named', async () => {
      for (const device of await serve('cam-1', 'cam-2')) answerWith(device, (body) => result(`${device.name} saw ${body}`));
      const first = await infer();
      const second = await infer({ name: 'digits' });
      expect([first.device, second.device].sort()).toEqual(['cam-1', 'cam-2']);
      expect(first.infer.result).toEqual({ text: `${first.device} saw picture` });
      expect(first.roundTripMs).toBeGreaterThan(0);
      for (let count = 0; count < 3; count += 1) expect((await infer({ device: 'cam-2' })).device).toBe('cam-2');
    });

    it('passes on what the device says is wrong', async () => {
      const [device] = await serve('cam-1');
      if (device !== undefined) answerWith(device, () => ({ ok: false, error: { code: 'IMAGE_UNREADABLE', message: 'not a picture' } }));
      await expect(infer()).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE', message: 'not a picture' });
    });

    it('takes a body of the largest size and refuses a larger one', async () => {
      const [device] = await serve('cam-1');
      if (device !== undefined) answerWith(device, (body) => result(String(body.byteLength)));
      expect((await infer({ body: new Uint8Array(MAX_INFER_BODY_BYTES) })).infer.result).toEqual({ text: String(MAX_INFER_BODY_BYTES) });
      await expect(infer({ body: new Uint8Array(MAX_INFER_BODY_BYTES + 1) })).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
    });

    it('says what is missing: the model, the device, its connection, its workload', async () => {
      await expect(infer()).rejects.toMatchObject({ code: 'NOT_FOUND' });
      const [device] = await serve('cam-1');
      await rig.join('cam-2');
      await waitUntil(() => rig.plane.counts().total === 2, { timeoutMs: 30_000, what: 'the second device' });
      await expect(infer({ device: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(infer({ device: 'cam-2' })).rejects.toMatchObject({ code: 'DEVICE_OFFLINE' });
      await device?.report([], 1);
      await rig.untilModel('reader', (model) => model.status.servingVersion === '');
      await expect(infer()).rejects.toMatchObject({ code: 'WORKLOAD_NOT_SERVING' });
    });

    it('ends the wait when the device goes away or the caller gives up', async () => {
      const [device] = await serve('cam-1');
      const abort = new AbortController();
      const abandoned = infer({ signal: abort.signal });
      abort.abort();
      await expect(abandoned).rejects.toMatchObject({ code: 'INTERRUPTED' });
      const lost = infer();
      device?.client.end(true);
      await expect(lost).rejects.toMatchObject({ code: 'DEVICE_OFFLINE' });
    });
  });
});
