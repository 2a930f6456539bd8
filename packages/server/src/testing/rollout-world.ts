import type { Rollout, RolloutPolicy, RolloutStatus, TrialCheck, WorkloadReport } from '@selvedge/contract';
import { expect } from 'vitest';
import { actOnRollout, type RolloutAction } from '../domain/rollout-actions.ts';
import type { DeviceFacts } from '../domain/rollout-device.ts';
import { isFinished, newRolloutDevice, planRollout } from '../domain/rollout-plan.ts';
import { countOf, settlePolicy, trialIdOf } from '../domain/rollout-policy.ts';
import { releaseOf } from '../domain/rollout-release.ts';
import { newWaves, waveSizes } from '../domain/rollout-waves.ts';

const START = Date.parse('2026-01-01T00:00:00.000Z');

/** A fleet whose devices do what they are told when they are asked to step, and a rollout on it. */
export class RolloutWorld {
  nowMs = START;
  rollout: Rollout;
  readonly fleet = new Map<string, SimulatedDevice>();
  /** Devices for which the new version fails. */
  readonly bad: ReadonlySet<string>;

  constructor(devices: number, policy: RolloutPolicy | undefined, bad: Iterable<string> = [], fromVersion = '1') {
    const settled = settlePolicy(policy);
    const names = Array.from({ length: devices }, (_, index) => `d${String(index).padStart(3, '0')}`);
    const sizes = waveSizes(settled, devices);
    const waveOf = sizes.flatMap((size, index) => new Array<number>(size).fill(index));
    const from = fromVersion === '' ? null : fromVersion;
    const metadata = { name: 'reader-1', labels: {}, annotations: {}, uid: 'u', generation: 1, resourceVersion: 1 };
    const iso = new Date(START).toISOString();
    const status: RolloutStatus = {
      phase: 'running',
      attempt: 1,
      wave: 0,
      waves: newWaves(sizes),
      devices: names.map((name, index) => newRolloutDevice(name, waveOf[index] ?? 0, from)),
      message: '',
      startedAt: iso,
      finishedAt: null,
      golden: null,
    };
    const spec = { inferenceModel: 'reader', generation: 1, model: 'digits', fromVersion, toVersion: '2', policy: settled, cause: '' };
    this.rollout = {
      apiVersion: 'selvedge.dev/v1alpha1',
      kind: 'Rollout',
      metadata: { ...metadata, createdAt: iso, updatedAt: iso },
      spec,
      status,
    };
    this.bad = new Set(bad);
    for (const name of names) this.fleet.set(name, { online: true, serving: from, trial: null, tried: new Set() });
  }

  facts(): DeviceFacts[] {
    return [...this.fleet].map(([name, device]) => ({
      name,
      presence: device.presence ?? (device.online ? 'online' : 'away'),
      report: this.#report(name, device),
    }));
  }

  /** One look; checks what must always hold. */
  look(): string[] {
    const { spec, status } = this.rollout;
    const input = { spec, status, devices: this.facts(), trialId: trialIdOf(this.rollout), nowIso: new Date(this.nowMs).toISOString() };
    const step = planRollout(input);
    if (step.status !== status) expect(JSON.stringify(planRollout(structuredClone(input)).status)).toBe(JSON.stringify(step.status));
    this.rollout = { ...this.rollout, status: step.status };
    this.#checkInvariants(step.released);
    return step.released;
  }

  act(action: RolloutAction, keep = false): void {
    const status = actOnRollout(this.rollout, action, new Date(this.nowMs).toISOString(), { keep });
    this.rollout = { ...this.rollout, status };
  }

  /** A device that is online takes one step towards what it may have. */
  step(name: string): void {
    const device = this.fleet.get(name);
    if (device?.online !== true) return;
    const release = this.release(name);
    if (release === null) {
      device.serving = null;
      device.trial = null;
    } else if (release.trial === undefined || device.serving === release.version || device.tried.has(release.trial.id)) {
      if (release.trial === undefined) device.serving = release.version;
      if (device.trial?.state === 'running') this.#judge(name, device);
    } else {
      device.before = device.serving;
      device.serving = release.version;
      device.trial = { id: release.trial.id, state: 'running' };
      device.tried.add(release.trial.id);
    }
  }

  /** @param idle - rounds without a change after which nothing more is to come. */
  settle(rounds = 200, idle = rounds): void {
    for (let round = 0, still = 0; round < rounds && still < idle; round += 1) {
      const before = this.rollout.status;
      this.look();
      still = this.rollout.status === before ? still + 1 : 0;
      for (const name of this.fleet.keys()) this.step(name);
      this.nowMs += 1000;
    }
  }

  release(name: string) {
    return releaseOf(
      this.rollout,
      this.rollout.status.devices.find((device) => device.device === name),
    );
  }

  states(): Record<string, string> {
    return Object.fromEntries(this.rollout.status.devices.map(({ device, state }) => [device, state]));
  }

  #judge(name: string, device: SimulatedDevice): void {
    if (device.trial === null) return;
    device.trial.state = this.bad.has(name) ? 'failed' : 'passed';
    if (this.bad.has(name)) device.serving = device.before ?? null;
  }

  #checkInvariants(released: readonly string[]): void {
    const { spec, status } = this.rollout;
    const byName = new Map(status.devices.map((device) => [device.device, device]));
    for (const name of released) expect(byName.get(name)?.wave).toBeLessThanOrEqual(status.wave);
    for (const device of status.devices)
      if (device.wave > status.wave && !isFinished(status)) expect(this.release(device.device)?.isNew ?? false).toBe(false);
    const { maxUnavailable } = spec.policy;
    if (maxUnavailable === undefined) return;
    const underWay = status.devices.filter(
      ({ state, releasedAt }) => releasedAt !== null && ['updating', 'on-trial', 'catching-up'].includes(state),
    );
    const largest = Math.max(1, ...status.waves.map((wave) => wave.devices));
    expect(underWay.length).toBeLessThanOrEqual(countOf(maxUnavailable, largest));
  }

  #report(name: string, device: SimulatedDevice): WorkloadReport | undefined {
    if (device.serving === null && device.trial === null) return undefined;
    const desiredVersion = this.release(name)?.version ?? '';
    const check: TrialCheck = {
      gate: 'crashes',
      value: this.bad.has(name) ? 3 : 0,
      baseline: null,
      bar: 0,
      passed: !this.bad.has(name),
      samples: 1,
    };
    const at = new Date(START).toISOString();
    const trial =
      device.trial === null
        ? null
        : {
            ...device.trial,
            version: '2',
            startedAt: at,
            finishedAt: device.trial.state === 'running' ? null : at,
            checks: [check],
            arms: [],
            failure: device.trial.state === 'failed' ? { code: 'TRIAL_FAILED', message: 'crashes 3 > 0' } : null,
            revertedInMs: device.trial.state === 'failed' ? 120 : null,
          };
    return {
      name: 'reader',
      model: 'digits',
      desiredVersion,
      servingVersion: device.serving,
      previousVersion: null,
      state: 'serving',
      port: 9000,
      progress: null,
      error: null,
      restarts: 0,
      servingSince: at,
      trial,
    };
  }
}

interface SimulatedDevice {
  online: boolean;
  presence?: DeviceFacts['presence'];
  serving: string | null;
  before?: string | null;
  trial: { id: string; state: 'running' | 'passed' | 'failed' } | null;
  tried: Set<string>;
}
