import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceLogs } from '../../ports/device-log.ts';
import { LineLogFile } from './line-log-file.ts';

/** Logs of workloads that are kept; those that were written to the longest ago go first. */
const MAX_WORKLOAD_LOGS = 32;

/** `logs/` in the agent's folder: `agent.log` and `workloads/NAME.log`, each with an older half beside it. */
export class LogFolder implements DeviceLogs {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #clock: () => number;
  readonly agent: LineLogFile;
  readonly #workloads = new Map<string, LineLogFile>();

  /** @param maxBytes - of each of a log's two files. */
  constructor(dir: string, maxBytes: number, clock: () => number) {
    this.#folder = join(dir, 'logs');
    this.#maxBytes = maxBytes;
    this.#clock = clock;
    this.agent = new LineLogFile(join(this.#folder, 'agent.log'), maxBytes, clock);
  }

  workload(name: string): LineLogFile {
    const known = this.#workloads.get(name);
    if (known !== undefined) return known;
    this.#makeRoom();
    const made = new LineLogFile(this.#path(name), this.#maxBytes, this.#clock);
    this.#workloads.set(name, made);
    return made;
  }

  has(name: string): boolean {
    return this.#workloads.has(name) || existsSync(this.#path(name));
  }

  async flush(): Promise<void> {
    for (const log of [this.agent, ...this.#workloads.values()]) log.flush();
  }

  #path(name: string): string {
    return join(this.#folder, 'workloads', `${name}.log`);
  }

  #makeRoom(): void {
    const folder = join(this.#folder, 'workloads');
    if (!existsSync(folder)) return;
    const files = readdirSync(folder)
      .filter((name) => name.endsWith('.log'))
      .map((name) => ({ name: name.slice(0, -4), writtenMs: statSync(join(folder, name)).mtimeMs }))
      .filter(({ name }) => !this.#workloads.has(name))
      .sort((a, b) => a.writtenMs - b.writtenMs);
    const surplus = files.length + this.#workloads.size + 1 - MAX_WORKLOAD_LOGS;
    for (const { name } of files.slice(0, Math.max(0, surplus))) {
      rmSync(this.#path(name), { force: true });
      rmSync(`${this.#path(name)}.1`, { force: true });
    }
  }
}
