import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { describeError, type Logger, readJsonFile, sha256Hex, writeJsonAtomic } from '@selvedge/runtime';
import { type FolderPlace, settlePlace } from '@selvedge/runtime/folder-archive';
import * as z from 'zod';

const placeSchema = z.object({ folder: z.string().min(1), name: z.string().min(1) });

/**
 * Places whose folder is being replaced, on the disk: between two renames nothing has the folder's name, and an agent that was killed
 * there must find it again without its server.
 */
export class UnfinishedFolders {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async note({ folder, name }: FolderPlace): Promise<void> {
    await writeJsonAtomic(this.#file({ folder, name }), { folder, name }, { mode: 0o600 });
  }

  async done(place: FolderPlace): Promise<void> {
    await rm(this.#file(place), { force: true });
  }

  /** Finishes or undoes what an earlier process had begun; what cannot be, stays noted. */
  async settle(log: Logger): Promise<void> {
    for (const file of await readdir(this.#dir)) {
      try {
        const place = await readJsonFile(join(this.#dir, file), placeSchema);
        // nothing at all: its disk may not be there yet
        if (place !== undefined && !(await settlePlace(place))) continue;
        log.warn('the replacement of a folder was interrupted; it is settled', { ...place });
      } catch (error) {
        log.error('the replacement of a folder was interrupted and cannot be settled', { file, ...describeError(error) });
        if (!(error instanceof AppError)) continue; // of the system: it may be another time
      }
      await rm(join(this.#dir, file), { force: true });
    }
  }

  #file({ folder, name }: FolderPlace): string {
    return join(this.#dir, `${sha256Hex(`${folder}\0${name}`).slice(0, 32)}.json`);
  }
}
