import type { AppError, DesiredWorkload, WorkloadReport } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import type { VersionRecord } from '../domain/agent-state.ts';
import { givesUp, otherTarget, waysToServe } from '../domain/runtime-choice.ts';

/**
 * Chooses between the native package and the model server for one workload.
 *
 * Invariant: a package that was given up is not tried again until another one is desired or the agent is started anew.
 */
export class RuntimeChoice {
  readonly #targets: readonly string[];
  readonly #log: Logger;
  #refused: { key: string; code: string; message: string } | null = null;

  /** @param targets - whose packages this device runs. */
  constructor(targets: readonly string[], log: Logger) {
    this.#targets = targets;
    this.#log = log;
  }

  choose(desired: DesiredWorkload): VersionRecord {
    const [preferred, server] = waysToServe(desired, this.#targets);
    return server !== undefined && preferred.key === this.#refused?.key ? server : preferred;
  }

  /** Whether the version can still be served another way when this one fails. */
  hasOther(desired: DesiredWorkload, key: string): boolean {
    const [preferred, server] = waysToServe(desired, this.#targets);
    return server !== undefined && preferred.key === key;
  }

  /** A version failed. From now on {@link choose} may give another one. */
  failed(desired: DesiredWorkload | null, key: string, error: AppError, attempts: number): void {
    if (desired === null) return;
    const [preferred, server] = waysToServe(desired, this.#targets);
    if (server === undefined || preferred.key !== key || !givesUp(error.code, attempts)) return;
    this.#refused = { key, code: error.code, message: error.message };
    this.#log.error('the native package is given up; the model server takes its place', { key, code: error.code, error: error.message });
  }

  /** Why the desired native package does not serve; null when it does, or may, or there is none. */
  refusal(desired: DesiredWorkload | null): WorkloadReport['nativeError'] {
    if (desired === null) return null;
    const { native } = desired;
    if (native !== undefined && !this.#targets.includes(native.target))
      return { code: 'CONFLICT', message: otherTarget(native.target, this.#targets) };
    if (this.#refused === null) return null;
    if (waysToServe(desired, this.#targets)[0].key !== this.#refused.key) return null;
    const { code, message } = this.#refused;
    return { code, message: message.slice(0, 4096) };
  }
}
