import type { LogPage } from '@selvedge/contract';

export interface LogQuery {
  /** Lines behind this number; undefined: the newest. */
  after: number | undefined;
  /** At most so many of the newest; not with `after`. */
  tail: number | undefined;
  /** None from before, Unix milliseconds. */
  sinceMs: number | undefined;
}

/** Lines with growing numbers, kept on disk within a bound. */
export interface LineLog {
  /** Adds one line; it is on disk a second later at the latest, or as soon as somebody waits for it. */
  append(text: string): void;
  /** The oldest lines that answer the question, as many as fit into a reply. */
  read(query: LogQuery): Promise<LogPage>;
  /** Resolves when there are lines behind this number, or the time is over. */
  wait(after: number, waitMs: number): Promise<void>;
}

/** The logs of a device: the agent's, and one per workload. */
export interface DeviceLogs {
  readonly agent: LineLog;
  workload(name: string): LineLog;
  /** Whether anything was ever logged for it, as far as it is kept. */
  has(name: string): boolean;
  /** Resolves when every line is on disk. */
  flush(): Promise<void>;
}
