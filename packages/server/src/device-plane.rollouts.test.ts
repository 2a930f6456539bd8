import type { DesiredWorkload, Rollout, RolloutPolicy, TrialReport } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RolloutService } from './services/rollout-service.ts';
import type { TestDevice } from './testing/device-client.ts';
import { PlaneRig } from './testing/plane-rig.ts';

const NOW = '2026-01-01T00:00:00.000Z';
const WAVES: RolloutPolicy = { waves: [1, '100%'], trial: { durationS: 5 }, gates: { p95Ratio: 1.3 } };

describe('rollouts', () => {
  let rig: PlaneRig;
  let service: RolloutService;
  beforeEach(async () => {
    rig = await PlaneRig.start();
    const version = async (model: string, wanted: string) => {
      const found = await rig.store.get('ModelVersion', `${model}.v${wanted}`);
      if (found === undefined) throw new Error(`there is no ${model}:${wanted}`);
      return found;
    };
    service = new RolloutService({ store: rig.store, registry: { version }, clock: () => new Date() });
    await rig.addVersion('digits', '1');
    await rig.addVersion('digits', '2');
    await rig.addVersion('digits', '3');
  });
  afterEach(() => rig.stop());

  const workloadOf = (device: TestDevice): DesiredWorkload | undefined => device.desired.at(-1)?.workloads[0];
  /** Until the last thing that it was told is this version. */
  const wants = (device: TestDevice, version: string) =>
    waitUntil(() => workloadOf(device)?.version === version, {
      timeoutMs: 30_000,
      intervalMs: 2,
      what: `version ${version} on ${device.name}`,
    });
  const untilRollout = (name: string, check: (rollout: Rollout) => boolean): Promise<Rollout> =>
    waitUntil(
      async () => {
        const found = await rig.store.get('Rollout', name);
        return found !== undefined && check(found) ? found : undefined;
      },
      { timeoutMs: 30_000, intervalMs: 5, what: `a state of rollout ${name}` },
    );
  const inPhase = (name: string, phase: Rollout['status']['phase']) => untilRollout(name, ({ status }) => status.phase === phase);
  const states = ({ status }: Rollout) => Object.fromEntries(status.devices.map(({ device, state }) => [device, state]));

  /** As an agent reports the trial that it was told of. */
  async function reportTrial(device: TestDevice, state: TrialReport['state'], serving: string): Promise<void> {
    const workload = workloadOf(device);
    const isFailed = state === 'failed';
    const p95 = { gate: 'p95Ratio', value: isFailed ? 2.5 : 1.1, baseline: 12, bar: 1.3, passed: !isFailed, samples: 40 };
    await device.reportServing({
      servingVersion: serving,
      trial: {
        id: workload?.trial?.id ?? '',
        version: workload?.version ?? '',
        state,
        startedAt: NOW,
        finishedAt: state === 'passed' || isFailed ? NOW : null,
        checks: [p95],
        arms: [],
        failure: isFailed ? { code: 'WORKLOAD_FAILED', message: 'p95Ratio 2.5 > 1.3' } : null,
        revertedInMs: isFailed ? 80 : null,
      },
    });
  }

  /** Devices that serve version 1, by a rollout that has ended. */
  async function fleet(count: number, policy: RolloutPolicy | undefined): Promise<TestDevice[]> {
    const names = Array.from({ length: count }, (_, index) => `cam-${index + 1}`);
    const devices = await Promise.all(names.map(async (name) => rig.connect(await rig.join(name))));
    await rig.deploy('reader', { targetVersion: '1' });
    for (const device of devices) {
      await wants(device, '1');
      await device.reportServing();
    }
    await inPhase('reader-1', 'succeeded');
    await rig.deploy('reader', { targetVersion: '2', ...(policy === undefined ? {} : { rollout: policy }) });
    return devices;
  }
  const pair = (devices: TestDevice[]): [TestDevice, TestDevice] => {
    const [first, second] = devices;
    if (first === undefined || second === undefined) throw new Error('two devices are needed');
    return [first, second];
  };

  it('keep a record of every edit, also where there is no policy and all goes at once', async () => {
    const devices = await fleet(2, undefined);
    for (const device of devices) {
      await wants(device, '2');
      expect(workloadOf(device)?.trial).toBeUndefined();
      await device.reportServing();
    }
    const done = await inPhase('reader-2', 'succeeded');
    expect(done.spec).toMatchObject({ fromVersion: '1', toVersion: '2', policy: { strategy: 'all-at-once' }, generation: 2 });
    expect(done.status.waves).toMatchObject([{ devices: 2, state: 'passed' }]);
  });

  it('go wave by wave, and tell each device of its trial', async () => {
    const [first, second] = pair(await fleet(2, WAVES));
    await wants(first, '2');
    expect(workloadOf(first)?.trial).toMatchObject({ mode: 'serve', durationS: 5, gates: { p95Ratio: 1.3 } });
    await reportTrial(first, 'running', '2');
    await untilRollout('reader-2', (rollout) => states(rollout)['cam-1'] === 'on-trial');
    expect(workloadOf(second)).toMatchObject({ version: '1' });
    const half = await rig.untilModel('reader', ({ status }) => status.devices[1]?.message.includes('rollout') === true);
    expect(half.status.resolvedVersion).toBe('2');
    await reportTrial(first, 'passed', '2');
    await wants(second, '2');
    await reportTrial(second, 'passed', '2');
    const done = await inPhase('reader-2', 'succeeded');
    expect(done.status.waves[0]?.checks).toMatchObject([{ gate: 'p95Ratio', value: 1.1, baseline: 12, bar: 1.3, passed: true }]);
  });

  it('take the version back from every device when a trial fails, and hold them on what they had', async () => {
    const [first, second] = pair(await fleet(2, WAVES));
    await wants(first, '2');
    await reportTrial(first, 'passed', '2');
    await wants(second, '2');
    await reportTrial(second, 'failed', '1');
    await wants(first, '1');
    await wants(second, '1');
    await first.reportServing();
    await second.reportServing();
    const failed = await inPhase('reader-2', 'failed');
    expect(states(failed)).toEqual({ 'cam-1': 'reverted', 'cam-2': 'reverted' });
    expect(failed.status.message).toContain('Wave 2 failed: 1 of 1 devices failed, 0 may. cam-2: WORKLOAD_FAILED: p95Ratio 2.5 > 1.3');
    expect(failed.status.devices[1]).toMatchObject({
      revertedInMs: 80,
      checks: [{ gate: 'p95Ratio', value: 2.5, bar: 1.3, passed: false }],
    });
    const model = await rig.untilModel('reader', ({ status }) => status.servingVersion === '1');
    expect(model.status.conditions.find(({ type }) => type === 'Progressing')).toMatchObject({ status: 'False', reason: 'RolloutFailed' });

    await service.act('reader-2', 'retry');
    await first.untilDesired((state) => state.workloads[0]?.trial?.id.endsWith('.2') === true);
    expect((await rig.store.get('Rollout', 'reader-2'))?.status).toMatchObject({ phase: 'running', attempt: 2 });
  });

  it('stand still while they are paused', async () => {
    const [first, second] = pair(await fleet(2, WAVES));
    await wants(first, '2');
    await service.act('reader-2', 'pause');
    await reportTrial(first, 'passed', '2');
    await untilRollout('reader-2', (rollout) => states(rollout)['cam-1'] === 'passed');
    expect(workloadOf(second)).toMatchObject({ version: '1' });
    await service.act('reader-2', 'resume');
    await wants(second, '2');
  });

  it('go on after a restart of the server, and let no device go twice', async () => {
    const [first, second] = pair(await fleet(2, WAVES));
    await wants(first, '2');
    const released = (await rig.store.get('Rollout', 'reader-2'))?.status.devices[0]?.releasedAt;
    await rig.restart();
    const again = await rig.connect(await rejoin(first));
    const other = await rig.connect(await rejoin(second));
    await wants(again, '2');
    expect(again.desired.at(-1)).toEqual(first.desired.at(-1));
    await wants(other, '1');
    await untilRollout('reader-2', (rollout) => states(rollout)['cam-1'] === 'updating');
    await reportTrial(again, 'passed', '2');
    await wants(other, '2');
    const rollout = await untilRollout('reader-2', (one) => states(one)['cam-2'] === 'updating');
    expect(rollout.status.attempt).toBe(1);
    expect(Date.parse(rollout.status.devices[0]?.releasedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(released ?? ''));
    expect((await rig.store.list('Rollout')).items.map(({ metadata }) => metadata.name)).toEqual(['reader-1', 'reader-2']);
  });

  it('do not wait for a device that is offline, which catches up', async () => {
    const devices = await fleet(2, { ...WAVES, trial: { durationS: 1 } });
    const [first, second] = pair(devices);
    await wants(first, '2');
    second.client.end(true);
    await rig.untilDevice('cam-2', ({ status }) => !status.online);
    await reportTrial(first, 'passed', '2');
    await untilRollout('reader-2', ({ status }) => status.wave === 1);
    rig.skewMs = 180_000;
    await first.report([], 1); // a message makes the plane look again
    const done = await inPhase('reader-2', 'succeeded');
    expect(states(done)).toEqual({ 'cam-1': 'passed', 'cam-2': 'catching-up' });
    const back = await rig.connect(await rejoin(second));
    await wants(back, '2');
    await reportTrial(back, 'passed', '2');
    await untilRollout('reader-2', (rollout) => states(rollout)['cam-2'] === 'passed');
  });

  it('give way to a newer edit, which takes devices from what they were well with', async () => {
    const [first, second] = pair(await fleet(2, WAVES));
    await wants(first, '2');
    await reportTrial(first, 'passed', '2');
    await wants(second, '2');
    await rig.deploy('reader', { targetVersion: '3', rollout: WAVES });
    await inPhase('reader-2', 'superseded');
    const next = await untilRollout('reader-3', () => true);
    expect(next.status.devices.map(({ device, fromVersion }) => [device, fromVersion])).toEqual([
      ['cam-1', '2'],
      ['cam-2', '1'],
    ]);
    await wants(first, '3');
    await wants(second, '1');
    await expect(service.act('reader-2', 'resume')).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('are aborted: devices go back, or keep what they have', async () => {
    const [first, second] = pair(await fleet(2, WAVES));
    await wants(first, '2');
    await reportTrial(first, 'passed', '2');
    await wants(second, '2');
    await service.act('reader-2', 'abort');
    await wants(first, '1');
    await first.reportServing();
    await wants(second, '1');
    await second.reportServing();
    await inPhase('reader-2', 'aborted');
  });

  it('serve nothing in a first deployment before the wave, and wait for a promotion where they are told to', async () => {
    const [first, second] = await Promise.all(['cam-1', 'cam-2'].map(async (name) => rig.connect(await rig.join(name))));
    if (first === undefined || second === undefined) return;
    await rig.deploy('reader', { targetVersion: '1', rollout: { ...WAVES, manual: true } });
    await wants(first, '1');
    await reportTrial(first, 'passed', '1');
    await inPhase('reader-1', 'waiting');
    expect(second.desired.at(-1)?.workloads ?? []).toEqual([]);
    await service.act('reader-1', 'promote');
    await wants(second, '1');
  });

  it('recall what was made from something, past a rollout that is under way', async () => {
    const [first, second] = pair(await fleet(2, WAVES));
    await wants(first, '2');
    await reportTrial(first, 'passed', '2');
    await wants(second, '2');
    await reportTrial(second, 'passed', '2');
    await rig.untilModel('reader', ({ status }) => status.servingVersion === '2');
    const view = await service.findRecall({ model: 'digits', modelVersion: '2' });
    expect(view.devices.map(({ device, version, online }) => [device, version, online])).toEqual([
      ['cam-1', '2', true],
      ['cam-2', '2', true],
    ]);
    await expect(service.recall({ model: 'digits', modelVersion: '2' }, '2')).rejects.toMatchObject({ code: 'CONFLICT' });
    await service.recall({ model: 'digits', modelVersion: '2' }, '1');
    for (const device of [first, second]) {
      await wants(device, '1');
      expect(workloadOf(device)?.trial).toBeUndefined();
      await device.reportServing();
    }
    const done = await inPhase('reader-3', 'succeeded');
    expect(done.spec).toMatchObject({ cause: 'recall (generation 3)', policy: { strategy: 'all-at-once' } });
    expect((await rig.store.get('InferenceModel', 'reader'))?.spec.rollout).toMatchObject({ waves: [1, '100%'] });
  });

  it('keep the last twenty records, and none of an InferenceModel that is gone', async () => {
    for (let generation = 1; generation <= 22; generation += 1) {
      await rig.deploy('reader', { targetVersion: generation % 2 === 0 ? '2' : '1' });
      await untilRollout(`reader-${generation}`, () => true);
    }
    const kept = async () => (await rig.store.list('Rollout')).items.map(({ metadata }) => metadata.name);
    await waitUntil(async () => ((await kept()).length === 20 ? true : undefined), {
      timeoutMs: 30_000,
      intervalMs: 10,
      what: 'twenty records',
    });
    expect(await kept()).not.toContain('reader-2');
    await rig.store.delete('InferenceModel', 'reader');
    await waitUntil(async () => ((await kept()).length === 0 ? true : undefined), { timeoutMs: 30_000, intervalMs: 10, what: 'no record' });
  });

  const rejoin = (device: TestDevice) => {
    const identity = identities.get(device.name);
    if (identity === undefined) throw new Error(`${device.name} has not joined`);
    return Promise.resolve(identity);
  };
  const identities = new Map<string, Awaited<ReturnType<PlaneRig['join']>>>();
  beforeEach(() => {
    const { join } = rig;
    rig.join = async (name, labels) => {
      const identity = await join.call(rig, name, labels);
      identities.set(identity.name, identity);
      return identity;
    };
  });
});
