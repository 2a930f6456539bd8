import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AppError } from '@selvedge/contract';
import { syncFolder } from '../atomic-file.ts';
import { confinePath } from '../confine.ts';
import { explainDiskError, systemErrorCode } from '../system-error.ts';

/** A folder that appears under its name whole or not at all: filled under another name beside it, then renamed. */
export class PackageFolder {
  readonly #destination: string;
  readonly #temporary: string;

  private constructor(destination: string, temporary: string) {
    this.#destination = destination;
    this.#temporary = temporary;
  }

  /** @throws AppError CONFLICT (user) when the folder is there and not empty; DISK_FULL. */
  static async begin(destination: string): Promise<PackageFolder> {
    const path = resolve(destination);
    const existing = await readdir(path).catch((error: unknown) => {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw explainDiskError(error, path);
    });
    if (existing.length > 0) throw new AppError('CONFLICT', { message: `The folder ${path} is not empty.`, hint: 'Name another one.' });
    const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
    await mkdir(temporary, { recursive: true }).catch((error: unknown) => {
      throw explainDiskError(error, path);
    });
    return new PackageFolder(path, temporary);
  }

  /** Writes one new file. The path must have been checked by the contract's schema; it is confined all the same. */
  async write(path: string, content: AsyncIterable<Uint8Array>, isExecutable: boolean): Promise<void> {
    const target = confinePath(this.#temporary, path);
    try {
      await mkdir(dirname(target), { recursive: true });
      const handle = await open(target, 'wx', isExecutable ? 0o755 : 0o644);
      try {
        for await (const chunk of content) await handle.writeFile(chunk);
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw explainDiskError(error, target);
    }
  }

  async commit(): Promise<void> {
    await syncFolder(this.#temporary);
    await rename(this.#temporary, this.#destination);
    await syncFolder(dirname(this.#destination));
  }

  /** Removes what was written. */
  async abandon(): Promise<void> {
    await rm(this.#temporary, { recursive: true, force: true });
  }
}
