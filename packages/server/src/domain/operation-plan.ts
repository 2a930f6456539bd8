import type { Operation, OperationDevice, OperationStatus } from '@selvedge/contract';

/** What the planner has to know besides the operation itself. */
export interface OperationSituation {
  readonly nowMs: number;
  /** There is such a device. */
  readonly isKnown: (device: string) => boolean;
  readonly isConnected: (device: string) => boolean;
  /** It is connected and hears what it is told. */
  readonly isReady: (device: string) => boolean;
  /** Until then a device that is not connected may only not be back yet, since the server itself was away. */
  readonly graceUntilMs: number;
}

export type OperationStep =
  | { readonly type: 'begin'; readonly device: string }
  | { readonly type: 'fail'; readonly device: string; readonly code: 'NOT_FOUND' | 'TIMEOUT' | 'DEVICE_OFFLINE'; readonly message: string };

const WAITING = { state: 'waiting', startedAt: null, finishedAt: null, progress: null, exitCode: null } as const;

/** The status of an operation on these devices that nothing has been done of. */
export function newOperationStatus(devices: readonly string[]): OperationStatus {
  return {
    state: 'waiting',
    startedAt: null,
    finishedAt: null,
    cancelledBy: null,
    devices: devices.map((device) => ({ device, ...WAITING, file: null, changed: null, output: '', error: null })),
  };
}

/**
 * What is to be done now: devices that begin, in their order and within the bound, and devices that fail without having begun.
 * Those that are running are left alone.
 *
 * @returns the steps, and when to ask again although nothing has happened; null when only an event can change anything.
 */
export function planOperation(
  spec: Pick<Operation['spec'], 'parallel' | 'wait' | 'expiresAt'>,
  devices: Iterable<OperationDevice>,
  situation: OperationSituation,
): { steps: OperationStep[]; wakeAtMs: number | null } {
  const all = [...devices];
  let free = spec.parallel - all.filter(({ state }) => state === 'running').length;
  const steps: OperationStep[] = [];
  const expiresMs = Date.parse(spec.expiresAt);
  let wakeAtMs: number | null = null;
  for (const { device, state } of all) {
    if (state !== 'waiting') continue;
    const failure = whyNot(spec, device, expiresMs, situation);
    if (failure !== undefined) steps.push({ type: 'fail', device, ...failure });
    else if (situation.isReady(device) && free > 0) {
      free -= 1;
      steps.push({ type: 'begin', device });
    } else {
      const offline = !spec.wait && !situation.isConnected(device);
      const atMs = offline ? Math.min(expiresMs, situation.graceUntilMs) : expiresMs;
      wakeAtMs = Math.min(wakeAtMs ?? atMs, atMs);
    }
  }
  return { steps, wakeAtMs };
}

function whyNot(
  spec: Pick<Operation['spec'], 'wait' | 'expiresAt'>,
  device: string,
  expiresMs: number,
  { nowMs, isKnown, isConnected, graceUntilMs }: OperationSituation,
): { code: 'NOT_FOUND' | 'TIMEOUT' | 'DEVICE_OFFLINE'; message: string } | undefined {
  if (!isKnown(device)) return { code: 'NOT_FOUND', message: `Device "${device}" has been removed.` };
  const connected = isConnected(device);
  if (nowMs >= expiresMs) {
    if (connected) return { code: 'TIMEOUT', message: `It was not its turn until ${spec.expiresAt}.` };
    return { code: 'DEVICE_OFFLINE', message: `Device "${device}" did not connect until ${spec.expiresAt}.` };
  }
  if (spec.wait || connected || nowMs < graceUntilMs) return undefined;
  return { code: 'DEVICE_OFFLINE', message: `Device "${device}" is not connected.` };
}

export function isSettledState(state: OperationDevice['state']): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}

/** The state of the whole: it succeeded when it did on every device; one that was cancelled anywhere was cancelled. */
export function overallState(devices: Iterable<OperationDevice>): OperationStatus['state'] {
  const states = new Set([...devices].map(({ state }) => state));
  if (states.has('running')) return 'running';
  if (states.has('waiting')) return states.size === 1 ? 'waiting' : 'running';
  if (states.has('cancelled')) return 'cancelled';
  return states.has('failed') ? 'failed' : 'succeeded';
}
