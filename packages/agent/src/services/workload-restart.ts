import { AppError, type WorkloadReport } from '@selvedge/contract';
import type { ModelProcess } from '../ports/model-process.ts';

export interface WorkloadRestartOptions {
  has: (workload: string) => boolean;
  serving: (workload: string) => ModelProcess | undefined;
  restart: (workload: string) => boolean;
  reports: () => WorkloadReport[];
}

const TIMEOUT_MS = 100_000;

/** Starts workloads again on the version that they serve. Connections that come in meanwhile wait; they are not refused. */
export class WorkloadRestart {
  readonly #options: WorkloadRestartOptions;
  readonly #watchers = new Set<() => void>();

  constructor(options: WorkloadRestartOptions) {
    this.#options = options;
  }

  /** To be called when the state of a workload has changed. */
  changed(): void {
    for (const look of [...this.#watchers]) look();
  }

  /**
   * Resolves when the workload serves again.
   * @throws AppError NOT_FOUND (user), WORKLOAD_NOT_SERVING, WORKLOAD_FAILED, TIMEOUT (operational).
   */
  async restart(workload: string): Promise<void> {
    const { has, serving, restart, reports } = this.#options;
    if (!has(workload)) throw new AppError('NOT_FOUND', { message: `The workload "${workload}" is not on this device.` });
    const before = serving(workload);
    if (before === undefined || !restart(workload))
      throw new AppError('WORKLOAD_NOT_SERVING', { message: `The workload "${workload}" is not serving now.` });
    const errorOf = () => reports().find(({ name }) => name === workload)?.error ?? null;
    const known = errorOf()?.at;
    await new Promise<void>((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        finish();
      };
      const look = () => {
        const now = serving(workload);
        const error = errorOf();
        if (now !== undefined && now !== before) settle(resolve);
        else if (now === undefined && error !== null && error.at !== known)
          settle(() => reject(new AppError('WORKLOAD_FAILED', { message: `It did not start again: ${error.message}` })));
      };
      const timer = setTimeout(
        () => settle(() => reject(new AppError('TIMEOUT', { message: `It did not serve again within ${TIMEOUT_MS / 1000} s.` }))),
        TIMEOUT_MS,
      );
      this.#watchers.add(look);
    });
  }
}
