import type { ProgramEnd } from '@selvedge/contract';

export interface ProgramRecord {
  readonly stream: string;
  readonly startedAt: string;
  readonly process: { pid: number; startTicks: number } | null;
  readonly end: ProgramEnd | null;
}

/** Which programs were ever started, so that none is started twice. Bounded: the oldest are forgotten. */
export interface ProgramJournal {
  get(stream: string): Promise<ProgramRecord | undefined>;
  all(): Promise<readonly ProgramRecord[]>;
  /** On disk when it resolves. @throws AppError DISK_FULL (operational). */
  put(record: ProgramRecord): Promise<void>;
}
