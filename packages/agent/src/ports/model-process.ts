import type { Socket } from 'node:net';
import type { InferResult } from '@selvedge/contract';

export interface ProcessEnd {
  code: number | null;
  signal: string | null;
  /** Why the agent killed it; null when it did not. */
  reason: string | null;
}

/** When a process counts as hanging, milliseconds. */
export interface LivenessLimits {
  /** Default 10,000. */
  pingEveryMs: number;
  /** A process that leaves a ping unanswered for this long is killed; default 10,000. */
  pingTimeoutMs: number;
  /** So is one that works on a single request for this long; default 60,000. */
  requestTimeoutMs: number;
  /** So is one that is not ready this long after its start; default 60,000. */
  readyTimeoutMs: number;
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
  /** Gives it a connection that came in on the serving port; `isKept`: one that another process has given back. */
  hand(connection: Socket, isKept?: boolean): void;
  /** Takes the connections that it gives back while it is drained, unread. Without it they are closed. */
  onGivenBack(take: (connection: Socket) => void): void;
  /** Its own port on loopback; undefined when it has ended. */
  readonly port: number | undefined;
  /** Lets it finish the requests that it has; resolves when it has, when the signal aborts, at the latest after `timeoutMs`. */
  drain(timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** As `drain`, without waiting: its connections go elsewhere; it gets new ones again after `resume`. */
  release(): void;
  resume(): void;
  /** Looks at other times whether it hangs; null: as usual again. */
  watchClosely(limits: Partial<LivenessLimits> | null): void;
  /**
   * A page of its own port.
   * @throws AppError WORKLOAD_FAILED (operational) when it does not answer in 2 s.
   */
  read(path: string): Promise<string>;
  /** Resident memory; null where it cannot be had. */
  rssBytes(): Promise<number | null>;
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
