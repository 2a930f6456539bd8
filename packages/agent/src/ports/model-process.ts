import type { Socket } from 'node:net';
import type { InferResult } from '@selvedge/contract';

export interface ProcessEnd {
  code: number | null;
  signal: string | null;
}

/** A running model server of one version. */
export interface ModelProcess {
  /** Resolves when the process has ended, wanted or not. */
  readonly exited: Promise<ProcessEnd>;
  /**
   * Resolves when the model is loaded and its self-test has passed.
   * @throws AppError with the code that the process names; WORKLOAD_FAILED (operational) when it ends, hangs or fails otherwise.
   */
  probe(signal: AbortSignal): Promise<void>;
  /** Gives it a connection that came in on the serving port. */
  hand(connection: Socket): void;
  /** Lets it finish the requests that it has; resolves when it has, at the latest after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
  /** Resolves when the process is gone: asked first, killed after `graceMs`. */
  stop(graceMs: number): Promise<void>;
  /**
   * One inference with the pre- and post-processing of the package.
   * @throws AppError as the model server answers, WORKLOAD_FAILED (operational) when it does not.
   */
  infer(contentType: string, body: Uint8Array): Promise<InferResult>;
}

export interface ModelHost {
  /**
   * Starts a model server, or the executable of a native package, on a package folder; resolves when its process answers, not yet ready to serve.
   * @throws AppError WORKLOAD_FAILED (operational).
   */
  start(what: { name: string; folder: string; isNative: boolean }, signal: AbortSignal): Promise<ModelProcess>;
}
