import type { OperationDevice } from '@selvedge/contract';

export const OUTCOMES = ['ok', 'changed', 'failed', 'skipped', 'unreachable'] as const;
/** Of one task on one device: already as wanted, changed (or would be), failed, not to be done, or the device could not be asked. */
export type Outcome = (typeof OUTCOMES)[number];

export interface TaskResult {
  readonly outcome: Outcome;
  /** Why it failed. */
  readonly message: string;
}

export const OK: TaskResult = { outcome: 'ok', message: '' };
export const CHANGED: TaskResult = { outcome: 'changed', message: '' };
export const SKIPPED: TaskResult = { outcome: 'skipped', message: '' };

/** What an operation that did not succeed means for the device. */
export function failureResult({ error, state }: OperationDevice): TaskResult {
  const isAway = error?.code === 'DEVICE_OFFLINE' || error?.code === 'DEVICE_TIMEOUT';
  return { outcome: isAway ? 'unreachable' : 'failed', message: error === null ? state : `${error.code}: ${error.message}` };
}

/** Counts per device over all tasks. A device that has failed or could not be reached is left out of the rest. */
export class Recap {
  readonly #counts = new Map<string, Record<Outcome, number>>();

  constructor(devices: readonly string[]) {
    for (const device of devices) this.#counts.set(device, { ok: 0, changed: 0, failed: 0, skipped: 0, unreachable: 0 });
  }

  add(results: ReadonlyMap<string, TaskResult>): void {
    for (const [device, { outcome }] of results) {
      const counts = this.#counts.get(device);
      if (counts !== undefined) counts[outcome] += 1;
    }
  }

  /** Devices that go on. */
  get active(): string[] {
    return [...this.#counts].filter(([, { failed, unreachable }]) => failed + unreachable === 0).map(([device]) => device);
  }

  get failed(): string[] {
    const active = new Set(this.active);
    return [...this.#counts.keys()].filter((device) => !active.has(device));
  }

  get rows(): ({ device: string } & Record<Outcome, number>)[] {
    return [...this.#counts].map(([device, counts]) => ({ device, ...counts }));
  }
}
