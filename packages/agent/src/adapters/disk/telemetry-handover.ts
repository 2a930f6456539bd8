import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, MAX_RESULTS_BYTES, type TelemetryBatch, telemetryBatchSchema } from '@selvedge/contract';
import { pathExists, readTextFile, waitUntil, writeFileAtomic } from '@selvedge/runtime';

/** Asks the agent that runs, which alone works in its spool; it watches the folder. */
const REQUEST = '.telemetry-request';
/** Its answer, a batch per line. */
const ANSWER = '.telemetry.jsonl';
const PATIENCE_MS = 15_000;

/** How `export-results` gets what waits in the spool of an agent that runs: by two files in the folder of bundles. */
export class TelemetryHandover {
  readonly #request: string;
  readonly #answer: string;

  constructor(folder: string) {
    this.#request = join(folder, REQUEST);
    this.#answer = join(folder, ANSWER);
  }

  /** One at a time. @returns undefined when the agent does not answer. */
  async ask(): Promise<TelemetryBatch[] | undefined> {
    await rm(this.#answer, { force: true });
    await writeFileAtomic(this.#request, '', { mayRevert: true });
    try {
      await waitUntil(async () => !(await pathExists(this.#request)), { timeoutMs: PATIENCE_MS, what: 'the agent to hand over telemetry' });
      return parse((await readTextFile(this.#answer)) ?? '');
    } catch (error) {
      if (error instanceof AppError && error.code === 'TIMEOUT') return undefined;
      throw error;
    } finally {
      await rm(this.#request, { force: true });
      await rm(this.#answer, { force: true });
    }
  }

  /** For the agent: writes what `copy` gives out, when it was asked. */
  async answer(copy: (take: (batch: TelemetryBatch) => Promise<void>) => Promise<void>): Promise<void> {
    if (!(await pathExists(this.#request))) return;
    const part = `${this.#answer}.part`;
    const file = await open(part, 'w', 0o600);
    try {
      let sizeBytes = 0;
      await copy(async (batch) => {
        const line = `${JSON.stringify(batch)}\n`;
        sizeBytes += line.length;
        if (sizeBytes < MAX_RESULTS_BYTES / 2) await file.writeFile(line);
      });
    } finally {
      await file.close();
    }
    await rename(part, this.#answer);
    await rm(this.#request, { force: true });
  }
}

function parse(text: string): TelemetryBatch[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => telemetryBatchSchema.parse(JSON.parse(line)));
}
