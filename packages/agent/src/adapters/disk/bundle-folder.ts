import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type DownloadResponse,
  explainDiskError,
  lockFolder,
  pathExists,
  readJsonFile,
  syncFolder,
  systemErrorCode,
  writeJsonAtomic,
} from '@selvedge/runtime';
import { type BundleMemory, type BundleOrder, bundleMemorySchema, bundleOrderSchema, emptyMemory } from '../../domain/bundle-order.ts';

const FOLDER = 'bundles';
const MEMORY = 'memory.json';
const ORDER = 'order.json';
const CONTENT = 'content';
/** Begins the names of what is being written; names of bundles begin with no dot. */
const STAGING = '.staging-';
const LOCK_WAIT_MS = 60_000;

/**
 * `bundles/` in the agent's folder: `<id>/order.json` and `<id>/content/<sha256>` of each bundle that was taken, and `memory.json`.
 *
 * A bundle is written into a folder that nobody looks at, and renamed when every byte of it was verified and is on disk: what a
 * kill or a power cut leaves is either the whole bundle or something that is thrown away. Whoever writes holds the lock; the
 * agent that runs only reads, and removes bundles that it is done with.
 */
export class BundleFolder {
  readonly #dir: string;

  /** @param dir - the agent's folder. */
  constructor(dir: string) {
    this.#dir = join(dir, FOLDER);
  }

  get path(): string {
    return this.#dir;
  }

  /** Makes the folder. @throws AppError DISK_FULL (operational). */
  async make(): Promise<void> {
    await mkdir(this.#dir, { recursive: true }).catch((error: unknown) => {
      throw explainDiskError(error, this.#dir);
    });
  }

  /** For who writes; takes away what one before it left half done. @returns gives it free. @throws AppError DATA_FOLDER_LOCKED (user). */
  async lock(waitMs = LOCK_WAIT_MS): Promise<() => Promise<void>> {
    const unlock = await lockFolder(join(this.#dir, 'bundles.lock'), {
      waitMs,
      refusal: (pid) => ({ message: `Another program (process ${pid ?? 'unknown'}) works on the bundles in ${this.#dir}.` }),
    });
    for (const name of await this.#names()) if (name.startsWith(STAGING)) await rm(join(this.#dir, name), { recursive: true, force: true });
    return unlock;
  }

  /** @param authoritySha256 - of the identity; what was remembered for another one does not count. */
  async readMemory(authoritySha256: string): Promise<BundleMemory> {
    const known = await readJsonFile(join(this.#dir, MEMORY), bundleMemorySchema);
    return known?.authoritySha256 === authoritySha256 ? known : emptyMemory(authoritySha256);
  }

  /** Under the lock only. */
  writeMemory(memory: BundleMemory): Promise<void> {
    return writeJsonAtomic(join(this.#dir, MEMORY), memory, { mode: 0o600 });
  }

  /** Bundles that were taken and not yet removed, the lowest revision first. One that cannot be read is as good as none. */
  async orders(): Promise<BundleOrder[]> {
    const found: BundleOrder[] = [];
    for (const name of await this.#names()) {
      if (name.startsWith('.')) continue;
      const order = await readJsonFile(join(this.#dir, name, ORDER), bundleOrderSchema).catch(() => undefined);
      if (order?.id === name) found.push(order);
    }
    return found.sort((a, b) => a.desired.revision - b.desired.revision || (a.createdAt < b.createdAt ? -1 : 1));
  }

  has(id: string): Promise<boolean> {
    return pathExists(join(this.#dir, id, ORDER));
  }

  async remove(id: string): Promise<void> {
    await rm(join(this.#dir, id), { recursive: true, force: true });
  }

  /** Begins to write a bundle; nothing of it is seen before `commit`. Under the lock only. */
  async stage(): Promise<StagedBundle> {
    const folder = join(this.#dir, `${STAGING}${process.pid}-${randomBytes(6).toString('hex')}`);
    await mkdir(join(folder, CONTENT), { recursive: true });
    return new StagedBundle(this.#dir, folder);
  }

  /** Content that came with a bundle, as a download of it would be answered; undefined when none has it. */
  /** Whether a bundle brought this content, so that no network is needed for it. */
  async hasContent(sha256: string): Promise<boolean> {
    for (const name of await this.#names())
      if (!name.startsWith('.') && (await sizeOf(join(this.#dir, name, CONTENT, sha256))) !== undefined) return true;
    return false;
  }

  async openContent(sha256: string, offset: number): Promise<DownloadResponse | undefined> {
    for (const name of await this.#names()) {
      if (name.startsWith('.')) continue;
      const path = join(this.#dir, name, CONTENT, sha256);
      const size = await sizeOf(path);
      if (size === undefined) continue;
      const body = offset >= size ? Readable.from([]) : createReadStream(path, { start: offset });
      return { status: offset === 0 ? 200 : 206, headers: {}, body };
    }
    return undefined;
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#dir);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

/** A bundle that is being written. */
class StagedBundle {
  readonly #parent: string;
  readonly #folder: string;

  constructor(parent: string, folder: string) {
    this.#parent = parent;
    this.#folder = folder;
  }

  /** @throws AppError DISK_FULL (operational); what the content throws. */
  async write(sha256: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const path = join(this.#folder, CONTENT, sha256);
    try {
      await pipeline(content, createWriteStream(path, { flags: 'wx' }));
      const file = await open(path, 'r');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      throw explainDiskError(error, path);
    }
  }

  /** From here on the agent sees it; one of this name that is there already stays. @throws AppError DISK_FULL (operational). */
  async commit(order: BundleOrder): Promise<void> {
    await syncFolder(join(this.#folder, CONTENT));
    await writeJsonAtomic(join(this.#folder, ORDER), order);
    try {
      await rename(this.#folder, join(this.#parent, order.id));
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOTEMPTY' && systemErrorCode(error) !== 'EEXIST') throw explainDiskError(error, this.#parent);
      await this.discard();
    }
    await syncFolder(this.#parent);
  }

  async discard(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
