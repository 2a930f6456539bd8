import type { ReportedState } from '@selvedge/contract';
import type { AgentState } from '../domain/agent-state.ts';

/** What survives a restart; each write is whole or not at all. */
export interface StateStore {
  /** undefined when nothing was saved yet. */
  load(): Promise<AgentState | undefined>;
  /** @throws AppError DISK_FULL (operational); the old state stays. */
  save(state: AgentState): Promise<void>;
  /** Keeps the last report for `agent status`. */
  saveReport(report: ReportedState): Promise<void>;
}
