import type { ModelProcess } from './model-process.ts';

/**
 * The port on which a workload is served. It stays open while processes come and go: a connection that arrives while
 * nothing serves waits a little instead of being refused.
 */
export interface ServingPort {
  /**
   * @param port - 0 picks a free one.
   * @returns the port that is open now.
   * @throws AppError PORT_IN_USE (user).
   */
  open(port: number): Promise<number>;
  /** From now on connections go to this process, as do those that it gives back later to wherever they go then; null: to none. */
  route(target: ModelProcess | null): void;
  close(): Promise<void>;
}
