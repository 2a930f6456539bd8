import { join } from 'node:path';
import { programEndSchema } from '@selvedge/contract';
import { readJsonFile, SerialRunner, writeFileAtomic } from '@selvedge/runtime';
import * as z from 'zod';
import type { ProgramJournal, ProgramRecord } from '../../ports/program-journal.ts';

const MAX_RECORDS = 256;

const journalSchema = z.object({
  formatVersion: z.literal(1),
  programs: z.array(
    z.object({
      stream: z.string().max(128),
      startedAt: z.string(),
      process: z.object({ pid: z.int().min(1), startTicks: z.number() }).nullable(),
      end: programEndSchema.nullable(),
    }),
  ),
});

/** `programs.json` in the agent's folder. */
export class ProgramJournalFile implements ProgramJournal {
  readonly #path: string;
  readonly #writes = new SerialRunner();
  #records: ProgramRecord[] | undefined;

  constructor(dir: string) {
    this.#path = join(dir, 'programs.json');
  }

  async get(stream: string): Promise<ProgramRecord | undefined> {
    return (await this.all()).find((record) => record.stream === stream);
  }

  async all(): Promise<readonly ProgramRecord[]> {
    this.#records ??= (await readJsonFile(this.#path, journalSchema))?.programs ?? [];
    return this.#records;
  }

  put(record: ProgramRecord): Promise<void> {
    return this.#writes.run(async () => {
      const others = (await this.all()).filter(({ stream }) => stream !== record.stream);
      const programs = [...others, record].slice(-MAX_RECORDS);
      await writeFileAtomic(this.#path, `${JSON.stringify({ formatVersion: 1, programs })}\n`, { mode: 0o600 });
      this.#records = programs;
    });
  }
}
