import type { Rollout, RolloutDevice, RolloutStatus, RolloutWave } from '@selvedge/contract';
import { type DeviceFacts, observeDevice } from './rollout-device.ts';
import { waveChecks } from './rollout-gates.ts';
import { countOf, deviceTimeoutMs, hasTrial, trialDurationMs } from './rollout-policy.ts';
import { isReleased } from './rollout-release.ts';

export interface RolloutInput {
  spec: Rollout['spec'];
  status: RolloutStatus;
  /** Selected devices, in the order in which later ones join the last wave. */
  devices: readonly DeviceFacts[];
  trialId: string;
  nowIso: string;
}

export interface RolloutStep {
  /** The very same object when nothing changed. */
  status: RolloutStatus;
  /** Devices that may have the new version from now on, and could not before. */
  released: string[];
  /** Something else depends on the change than a page that shows it: it must be written before anything follows from it. */
  urgent: boolean;
  /** When to look again although nothing has changed. */
  nextAtMs: number | null;
}

/** Phases in which nothing is begun any more. */
export function isFinished({ phase }: Pick<RolloutStatus, 'phase'>): boolean {
  return phase === 'succeeded' || phase === 'failed' || phase === 'aborted' || phase === 'superseded';
}

/**
 * One look at a rollout: what its devices have come to, what follows for the wave under way, and which devices may go next. The same
 * input gives the same step, and a step that is lost is found again by the next look.
 *
 * Invariants: no device is released before its wave; with `maxUnavailable`, never more are under way than it allows (going back is
 * not bounded); once it is reverting, no device is released.
 */
export function planRollout(input: RolloutInput): RolloutStep {
  const { spec, status, nowIso } = input;
  if (status.phase === 'superseded') return { status, released: [], urgent: false, nextAtMs: null };
  const work: Work = {
    spec,
    nowIso,
    status: { ...status },
    devices: observed(input),
    waves: [...status.waves],
    released: [],
    away: absent(input, 'away'),
    unsure: absent(input, 'unsure'),
  };
  if (!isFinished(status) && status.phase !== 'reverting') advance(work);
  if (work.status.phase === 'reverting') revert(work);
  else if (work.status.phase === 'succeeded') release(work);
  return finish(input, work);
}

interface Work {
  readonly spec: Rollout['spec'];
  readonly nowIso: string;
  status: RolloutStatus;
  devices: RolloutDevice[];
  waves: RolloutWave[];
  released: string[];
  /** Devices that are offline, and those that may be back at any moment. */
  readonly away: ReadonlySet<string>;
  readonly unsure: ReadonlySet<string>;
}

const AWAY = 'Offline; it catches up when it is back.';

function absent({ devices }: RolloutInput, as: DeviceFacts['presence']): Set<string> {
  return new Set(devices.flatMap(({ name, presence }) => (presence === as ? [name] : [])));
}

/** What each device has come to. Those that are selected no more are left out, new ones join. */
function observed({ spec, status, devices, trialId, nowIso }: RolloutInput): RolloutDevice[] {
  const facts = new Map(devices.map((one) => [one.name, one]));
  const context = { rollout: { spec }, trialId, nowIso };
  const kept = status.devices.flatMap((device) => {
    const known = facts.get(device.device);
    return known === undefined ? [] : [observeDevice(device, known, context)];
  });
  const isOpen = ['running', 'paused', 'waiting'].includes(status.phase) || (status.phase === 'succeeded' && hasTrial(spec.policy));
  if (!isOpen) return kept;
  const present = new Set(kept.map(({ device }) => device));
  const wave = Math.max(status.waves.length - 1, 0);
  const fromVersion = spec.fromVersion === '' || spec.fromVersion === spec.toVersion ? null : spec.fromVersion;
  const added = devices.flatMap(({ name }) => (present.has(name) ? [] : [newRolloutDevice(name, wave, fromVersion)]));
  return [...kept, ...added];
}

export function newRolloutDevice(device: string, wave: number, fromVersion: string | null): RolloutDevice {
  return {
    device,
    wave,
    state: 'waiting',
    fromVersion,
    releasedAt: null,
    finishedAt: null,
    checks: [],
    arms: [],
    message: '',
    revertedInMs: null,
    transfer: null,
  };
}

/** Goes through as many waves as can be gone through now. */
function advance(work: Work): void {
  const { policy } = work.spec;
  if (work.status.phase === 'paused') return;
  if (policy.golden !== undefined && hasTrial(policy) && work.status.golden === null) {
    work.status.message = `Preparing the golden set of dataset ${policy.golden.dataset}.`;
    return;
  }
  for (;;) {
    if (work.waves.some((wave) => failWave(work, wave))) return;
    if (work.status.phase !== 'running') return;
    startWave(work);
    release(work);
    if (!passWave(work)) return;
  }
}

const membersOf = ({ devices }: Work, index: number): RolloutDevice[] => devices.filter(({ wave }) => wave === index);
const isPending = ({ state }: RolloutDevice): boolean => state === 'waiting' || state === 'updating' || state === 'on-trial';
const hasFailed = ({ state }: RolloutDevice): boolean => state === 'failed' || state === 'reverting' || state === 'reverted';

function setWave(work: Work, index: number, change: Partial<RolloutWave>): void {
  work.waves = work.waves.map((wave) => (wave.index === index ? { ...wave, ...change } : wave));
}

function startWave(work: Work): void {
  const { wave: index } = work.status;
  if (work.waves[index]?.state === 'waiting') setWave(work, index, { state: 'running', startedAt: work.nowIso });
}

/** Also a wave that has passed fails when devices of it that come late do. */
function failWave(work: Work, wave: RolloutWave): boolean {
  const { policy } = work.spec;
  if (wave.state === 'waiting' || wave.accepted === true || !hasTrial(policy)) return false;
  const members = membersOf(work, wave.index);
  const failures = members.filter(hasFailed);
  const allowed = Math.floor((policy.maxFailed ?? 0) * members.length + 1e-9);
  const gate = members.some(isPending) ? undefined : waveChecks(members).find(({ passed }) => passed === false);
  if (failures.length <= allowed && gate === undefined) return false;
  const [first] = failures;
  const message =
    failures.length > allowed && first !== undefined
      ? `${failures.length} of ${members.length} devices failed, ${allowed} may. ${first.device}: ${first.message}`
      : `The wave's ${gate?.gate} is ${gate?.value}, its bar ${gate?.bar}.`;
  setWave(work, wave.index, { state: 'failed', finishedAt: work.nowIso, message });
  const told = `Wave ${wave.index + 1} failed: ${message}`;
  work.status =
    policy.onFailure === 'pause'
      ? { ...work.status, phase: 'paused', message: told }
      : { ...work.status, phase: 'reverting', ending: 'failed', message: told };
  return true;
}

/** @returns whether the next wave may begin. */
function passWave(work: Work): boolean {
  const index = work.status.wave;
  const wave = work.waves[index];
  const members = membersOf(work, index);
  if (wave === undefined) return succeed(work);
  if (wave.state === 'running') {
    if (members.some(isPending)) return false;
    if (isDeserted(work, members)) return false;
    if (index === work.waves.length - 1) {
      setWave(work, index, { state: 'passed', finishedAt: work.nowIso });
      return succeed(work);
    }
    setWave(work, index, { state: 'soaking', finishedAt: work.nowIso });
  }
  if (work.waves[index]?.state === 'soaking') {
    if (Date.parse(work.nowIso) < soakEndMs(work, index)) return false;
    setWave(work, index, { state: 'passed', finishedAt: work.nowIso });
    if (work.spec.policy.manual === true) {
      work.status = { ...work.status, phase: 'waiting', message: `Wave ${index + 1} passed; waits for "selvedge rollout promote".` };
      return false;
    }
  }
  work.status = { ...work.status, wave: index + 1, message: '' };
  return true;
}

/** Devices that have tried the version, and of which nothing was heard since, may be those that it has killed. */
function isDeserted(work: Work, members: readonly RolloutDevice[]): boolean {
  const lost = members.filter((device) => device.state === 'catching-up' && device.lost === true);
  if (!hasTrial(work.spec.policy) || lost.length === 0 || members.some(({ state }) => state === 'passed')) return false;
  const message = `Wave ${work.status.wave + 1} waits: ${lost[0]?.device} was lost while it took the version up, and no device of it has passed.`;
  work.status = { ...work.status, message };
  return true;
}

function soakEndMs({ waves, spec }: Work, index: number): number {
  return Date.parse(waves[index]?.finishedAt ?? '') + (spec.policy.soakS ?? 0) * 1000;
}

function succeed(work: Work): false {
  const failures = work.devices.filter(hasFailed);
  const plainFailure = hasTrial(work.spec.policy) ? undefined : failures[0];
  work.status =
    plainFailure === undefined
      ? { ...work.status, phase: 'succeeded', finishedAt: work.nowIso, message: '' }
      : {
          ...work.status,
          phase: 'failed',
          finishedAt: work.nowIso,
          message: `${failures.length} of ${work.devices.length} devices failed. ${plainFailure.device}: ${plainFailure.message}`,
        };
  return false;
}

/** Lets devices of the waves so far go, as many as may be under way at one time. */
function release(work: Work): void {
  const { maxUnavailable } = work.spec.policy;
  const current = work.status.phase === 'succeeded' ? work.waves.length - 1 : work.status.wave;
  const size = work.devices.filter(({ wave }) => wave === current).length;
  let room = Number.POSITIVE_INFINITY;
  if (maxUnavailable !== undefined) room = countOf(maxUnavailable, Math.max(size, 1)) - work.devices.filter(isUnderWay).length;
  work.devices = work.devices.map((device) => {
    const isNext = device.wave <= current && (device.state === 'waiting' || (device.state === 'catching-up' && device.releasedAt === null));
    if (!isNext || (hasTrial(work.spec.policy) && work.unsure.has(device.device))) return device;
    const isAway = work.away.has(device.device);
    if (isAway && maxUnavailable !== undefined) return { ...device, state: 'catching-up', message: AWAY };
    if (room <= 0) return device;
    room -= 1;
    work.released.push(device.device);
    const state = isAway ? 'catching-up' : 'updating';
    return { ...device, state, releasedAt: work.nowIso, finishedAt: null, message: isAway ? AWAY : '' };
  });
}

function isUnderWay({ state, releasedAt }: RolloutDevice): boolean {
  return releasedAt !== null && (state === 'updating' || state === 'on-trial' || state === 'catching-up');
}

/** Takes the version back from all that have it; ends when every device that can be reached is back on what it had. */
function revert(work: Work): void {
  work.devices = work.devices.map((device) => {
    if (device.releasedAt === null || !isReleased(device)) return device;
    return { ...device, state: 'reverting', finishedAt: null };
  });
  work.waves = work.waves.map((wave) =>
    wave.state === 'running' || wave.state === 'soaking' ? { ...wave, state: 'failed', finishedAt: work.nowIso } : wave,
  );
  const isBusy = work.devices.some(({ device, state }) => (state === 'reverting' || state === 'failed') && !work.away.has(device));
  if (!isBusy) work.status = { ...work.status, phase: work.status.ending ?? 'failed', finishedAt: work.nowIso };
}

function finish({ spec, status }: RolloutInput, work: Work): RolloutStep {
  const sameDevices =
    work.devices.length === status.devices.length && work.devices.every((device, index) => device === status.devices[index]);
  const devices = sameDevices ? status.devices : work.devices;
  const waves = sameDevices && work.waves.every((wave, index) => wave === status.waves[index]) ? status.waves : counted(work);
  const after: RolloutStatus = { ...work.status, waves, devices };
  const { phase, wave, message } = after;
  const isSame = devices === status.devices && waves === status.waves && phase === status.phase && message === status.message;
  const moved = phase !== status.phase || wave !== status.wave || waves.some(({ state }, index) => state !== status.waves[index]?.state);
  const back = hasTrial(spec.policy) && devices.some((device, index) => device !== status.devices[index] && hasFailed(device));
  return {
    status: isSame ? status : after,
    released: work.released,
    urgent: work.released.length > 0 || moved || back,
    nextAtMs: nextLookMs(work),
  };
}

/** Waves with the number of their devices and what these measured. */
function counted(work: Work): RolloutWave[] {
  return work.waves.map((wave) => {
    const members = membersOf(work, wave.index);
    return { ...wave, devices: members.length, checks: waveChecks(members) };
  });
}

/** A soak ends, and devices run out of time, without anybody saying so. */
function nextLookMs(work: Work): number | null {
  const nowMs = Date.parse(work.nowIso);
  const { policy } = work.spec;
  const [timeoutMs, trialMs] = [deviceTimeoutMs(policy), trialDurationMs(policy)];
  let next = Number.POSITIVE_INFINITY;
  const consider = (atMs: number) => {
    if (atMs > nowMs && atMs < next) next = atMs;
  };
  for (const device of work.devices) {
    if (!isUnderWay(device)) continue;
    const sinceMs = Date.parse(device.releasedAt ?? work.nowIso);
    for (const spanMs of [trialMs, timeoutMs, timeoutMs + trialMs]) consider(sinceMs + spanMs + 1);
  }
  if (work.waves[work.status.wave]?.state === 'soaking') consider(soakEndMs(work, work.status.wave));
  return Number.isFinite(next) ? next : null;
}
