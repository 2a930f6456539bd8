import { link, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type ReportedState, reportedStateSchema } from '@selvedge/contract';
import { type Logger, readJsonFile, SerialRunner, systemErrorCode, writeFileAtomic } from '@selvedge/runtime';
import { type AgentState, agentStateSchema } from '../../domain/agent-state.ts';
import type { StateStore } from '../../ports/state-store.ts';

/**
 * `state.json` and `reported.json` in the agent's folder.
 *
 * `state.json.before` is the state of one save earlier: a device whose disk has damaged the newest goes on from that, and is told by
 * its server what has changed since.
 */
export class FolderStateStore implements StateStore {
  readonly #statePath: string;
  readonly #reportPath: string;
  readonly #log: Logger | undefined;
  readonly #writes = new SerialRunner();

  /** @param log - told of a damaged file. */
  constructor(folder: string, log?: Logger) {
    this.#statePath = join(folder, 'state.json');
    this.#reportPath = join(folder, 'reported.json');
    this.#log = log;
  }

  async load(): Promise<AgentState | undefined> {
    for (const path of [this.#statePath, this.#beforePath]) {
      try {
        const state = await readJsonFile(path, agentStateSchema);
        if (state !== undefined) return state;
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        this.#log?.error('a saved state is damaged; it is put aside, and the one before it is taken', { path, error: error.message });
        // Aside, so that the next save does not take it for the state before.
        await rename(path, `${path}.damaged`);
      }
    }
    return undefined;
  }

  save(state: AgentState): Promise<void> {
    const text = `${JSON.stringify(state, null, 2)}\n`;
    return this.#writes.run(async () => {
      await this.#keepBefore();
      await writeFileAtomic(this.#statePath, text, { mode: 0o600 });
    });
  }

  saveReport(report: ReportedState): Promise<void> {
    const text = `${JSON.stringify(report, null, 2)}\n`;
    return this.#writes.run(() => writeFileAtomic(this.#reportPath, text));
  }

  loadReport(): Promise<ReportedState | undefined> {
    return readJsonFile(this.#reportPath, reportedStateSchema);
  }

  get #beforePath(): string {
    return `${this.#statePath}.before`;
  }

  /** A second name for what is there, which costs no space; the save gives the first name to a new file. */
  async #keepBefore(): Promise<void> {
    await rm(this.#beforePath, { force: true });
    try {
      await link(this.#statePath, this.#beforePath);
    } catch (error) {
      // Nothing was saved yet, or the file system knows no second names.
      if (!['ENOENT', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemErrorCode(error) ?? '')) throw error;
    }
  }
}
