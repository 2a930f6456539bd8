import { join } from 'node:path';
import { type ReportedState, reportedStateSchema } from '@selvedge/contract';
import { readJsonFile, SerialRunner, writeFileAtomic } from '@selvedge/runtime';
import { type AgentState, agentStateSchema } from '../../domain/agent-state.ts';
import type { StateStore } from '../../ports/state-store.ts';

/** `state.json` and `reported.json` in the agent's folder. */
export class FolderStateStore implements StateStore {
  readonly #statePath: string;
  readonly #reportPath: string;
  readonly #writes = new SerialRunner();

  constructor(folder: string) {
    this.#statePath = join(folder, 'state.json');
    this.#reportPath = join(folder, 'reported.json');
  }

  load(): Promise<AgentState | undefined> {
    return readJsonFile(this.#statePath, agentStateSchema);
  }

  save(state: AgentState): Promise<void> {
    const text = `${JSON.stringify(state, null, 2)}\n`;
    return this.#writes.run(() => writeFileAtomic(this.#statePath, text, { mode: 0o600 }));
  }

  saveReport(report: ReportedState): Promise<void> {
    const text = `${JSON.stringify(report, null, 2)}\n`;
    return this.#writes.run(() => writeFileAtomic(this.#reportPath, text));
  }

  loadReport(): Promise<ReportedState | undefined> {
    return readJsonFile(this.#reportPath, reportedStateSchema);
  }
}
