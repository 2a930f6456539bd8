import type { AppError } from '@selvedge/contract';
import { type Backoff, backoffDelayMs, type Logger } from '@selvedge/runtime';
import { afterFailure, type WorkloadState, withoutFailure, withoutWaiting } from '../domain/workload-state.ts';
import type { KeeperContext } from './workload-keeper-options.ts';
import type { WorkloadFault } from './workload-report.ts';

/** Failures that the next connection to the server may cure. */
const NETWORK_CODES: readonly string[] = ['SERVER_UNREACHABLE', 'DOWNLOAD_FAILED', 'NOT_FOUND', 'FORBIDDEN', 'RATE_LIMITED'];

/** Why versions of one workload cannot be served, and for how long each rests after a failure. */
export class WorkloadFaults {
  readonly #backoff: Backoff;
  readonly #clock: () => number;
  readonly #time: () => number;
  readonly #log: Logger;
  #fault: WorkloadFault | null = null;

  constructor(options: Pick<KeeperContext, 'backoff' | 'clock' | 'time' | 'log'>) {
    this.#backoff = options.backoff;
    this.#clock = options.clock;
    this.#time = options.time;
    this.#log = options.log;
  }

  /** The newest fault that still stands. */
  get fault(): WorkloadFault | null {
    return this.#fault;
  }

  /** A version is not to serve, and does not rest either: its trial has failed. */
  note(key: string, code: string, message: string): void {
    this.#fault = { key, code, message, at: new Date(this.#time()).toISOString() };
  }

  clear(): void {
    this.#fault = null;
  }

  /**
   * Marks a version as failed and lets it rest.
   *
   * @param startAnew - the failures before this one no longer count.
   */
  rest(state: WorkloadState, key: string, error: AppError, startAnew: boolean): WorkloadState {
    const before = startAnew ? 0 : (state.failures.find((failure) => failure.key === key)?.attempts ?? 0);
    const delayMs = backoffDelayMs(before + 1, this.#backoff);
    this.#fault = { key, code: error.code, message: error.message, at: new Date(this.#time()).toISOString() };
    this.#log.warn('a version cannot be served; it rests', {
      key,
      code: error.code,
      error: error.message,
      retryInMs: Math.round(delayMs),
    });
    return afterFailure(state, { key, attempts: before + 1, retryAtMs: this.#clock() + delayMs }, error.code === 'DIGEST_MISMATCH');
  }

  /** The server is reachable again: what failed for want of it may be tried at once. Undefined when nothing did. */
  afterReconnection(state: WorkloadState): WorkloadState | undefined {
    if (this.#fault === null || !NETWORK_CODES.includes(this.#fault.code)) return undefined;
    return withoutWaiting(state, [this.#fault.key]);
  }

  /** A version has been fetched: that it could not be before is over. */
  afterFetch(state: WorkloadState, key: string): WorkloadState {
    if (this.#fault?.key !== key || !NETWORK_CODES.includes(this.#fault.code)) return state;
    this.#fault = null;
    return withoutFailure(state, key);
  }
}
