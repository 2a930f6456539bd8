import type { DesiredWorkload, Held } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import { lookAtWindows } from '../domain/maintenance-windows.ts';
import type { Hold } from '../domain/workload-plan.ts';
import { versionOf, type WorkloadState } from '../domain/workload-state.ts';

/** What on the device may forbid a change. */
export interface HoldSources {
  /** Why the device is locked, as who locked it says; null: it is not. */
  lockReason: () => Promise<string | null>;
  isMetered: () => Promise<boolean>;
  /** Why nothing may be fetched because the bytes of the day are used up; null: it may. */
  trafficWait: () => Promise<{ message: string; untilAt: string | null } | null>;
}

/** How often it is looked whether what holds is over, milliseconds. */
const LOCK_LOOK_MS = 5000;
const METERED_LOOK_MS = 60_000;
/** Clocks are set, and change for summer: windows are looked at again at least this often. */
const WINDOW_LOOK_MS = 3_600_000;

/**
 * Whether a change of one workload's version has to wait: for its maintenance window, for a lock on the device, for a link that is not
 * metered. What serves, a trial that runs and the way back from one are never held.
 */
export class UpdateHolds {
  readonly #sources: HoldSources;
  readonly #log: Logger;
  readonly #saidZones = new Set<string>();
  #held: Held | null = null;
  #lookAgainInMs: number | null = null;

  constructor(sources: HoldSources, log: Logger) {
    this.#sources = sources;
    this.#log = log;
  }

  get held(): Held | null {
    return this.#held;
  }

  /** How long after `look` to look again, milliseconds; null while nothing is held. */
  get lookAgainInMs(): number | null {
    return this.#lookAgainInMs;
  }

  /** What may not be done now. Asks nothing of the device while no change is pending. */
  async look(desired: DesiredWorkload | null, key: string | null, state: WorkloadState, nowMs: number): Promise<Hold> {
    this.#held = null;
    this.#lookAgainInMs = null;
    const phase = state.trial?.key === key ? state.trial?.phase : undefined;
    if (desired === null || key === null || key === state.lastServed || ['running', 'passed', 'failed'].includes(phase ?? ''))
      return { fetch: false, start: false };
    const isAbsent = versionOf(state, key).disk === 'absent';
    const isMetered = desired.deferOnMetered === true && isAbsent && (await this.#sources.isMetered());
    if (isMetered) this.#hold('metered', 'The link is metered; it is fetched over another one.', null, METERED_LOOK_MS);
    const wait = isAbsent ? await this.#sources.trafficWait() : null;
    if (wait !== null) this.#hold('budget', wait.message, wait.untilAt, METERED_LOOK_MS);
    const isClosed = this.#isClosed(desired, state, nowMs);
    const reason = await this.#sources.lockReason();
    if (reason !== null) {
      const why = reason === '' ? '' : `: ${reason}`;
      this.#hold('lock', `Updates are locked on the device${why}`.slice(0, 1024), null, LOCK_LOOK_MS);
    }
    return { fetch: isMetered || wait !== null, start: isClosed || reason !== null };
  }

  #isClosed({ windows = [] }: DesiredWorkload, state: WorkloadState, nowMs: number): boolean {
    // A device that serves nothing has nothing that a change could disturb.
    if (state.lastServed === null || versionOf(state, state.lastServed).disk === 'absent') return false;
    const { isOpen, opensAtMs, unknownZones } = lookAtWindows(windows, nowMs);
    for (const zone of unknownZones) {
      if (!this.#saidZones.has(zone)) this.#log.warn('the time zone is not known here; UTC is taken for it', { zone });
      this.#saidZones.add(zone);
    }
    if (isOpen) return false;
    const zones = unknownZones.length === 0 ? '' : ` (${unknownZones.join(', ')} is not known here: taken as UTC)`;
    const at = opensAtMs === null ? null : new Date(opensAtMs).toISOString();
    const lookMs = Math.min(opensAtMs === null ? Number.POSITIVE_INFINITY : opensAtMs - nowMs, WINDOW_LOOK_MS);
    this.#hold('window', `The maintenance window is closed${zones}.`, at, lookMs);
    return true;
  }

  #hold(reason: Held['reason'], message: string, untilAt: string | null, lookAgainInMs: number): void {
    this.#held = { reason, message, untilAt };
    this.#lookAgainInMs = Math.min(this.#lookAgainInMs ?? Number.POSITIVE_INFINITY, lookAgainInMs);
  }
}
