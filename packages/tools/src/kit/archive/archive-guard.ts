import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '@selvedge/contract';
import { confinePath, systemErrorCode } from '@selvedge/runtime';

export interface ArchiveLimits {
  /** Files and folders together. */
  readonly maxEntries: number;
  /** Sum of all unpacked files. */
  readonly maxBytes: number;
}

export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = { maxEntries: 2_000_000, maxBytes: 256 * 1024 ** 3 };

/** Data that we pack shrinks 5 to 50 times at most; a bomb 1000 times. Small archives are let through whatever their ratio. */
const MAX_RATIO = 200;
const RATIO_FREE_BYTES = 64 * 1024 * 1024;
const MAX_PATH_LENGTH = 1024;
const MAX_DEPTH = 32;

/** Judges every entry of an archive before it is written: paths stay inside, counts and sizes stay bounded. */
export class ArchiveGuard {
  readonly #root: string;
  readonly #limits: ArchiveLimits;
  readonly #maxBytes: number;
  readonly #madeFolders = new Set<string>();
  #entries = 0;
  #bytes = 0;

  /** @param packedBytes - size of the archive itself. */
  constructor(root: string, packedBytes: number, limits: ArchiveLimits) {
    this.#root = root;
    this.#limits = limits;
    this.#maxBytes = Math.min(limits.maxBytes, RATIO_FREE_BYTES + packedBytes * MAX_RATIO);
  }

  /**
   * Where an entry goes; its folder exists afterwards.
   *
   * @throws AppError ARCHIVE_UNSAFE (user)
   */
  async place(entryPath: string): Promise<string> {
    this.#entries += 1;
    if (this.#entries > this.#limits.maxEntries) {
      throw new AppError('ARCHIVE_UNSAFE', { message: `The archive has more than ${this.#limits.maxEntries} entries.` });
    }
    const path = entryPath.replace(/^(\.\/)+/, '');
    if (path.length > MAX_PATH_LENGTH || path.split('/').length > MAX_DEPTH) {
      throw new AppError('ARCHIVE_UNSAFE', { message: `The archive has a path that is too long or too deep: ${shown(path)}` });
    }
    const target = confinePath(this.#root, path);
    const folder = dirname(target);
    if (this.#madeFolders.has(folder)) return target;
    try {
      await mkdir(folder, { recursive: true });
      this.#madeFolders.add(folder);
    } catch (cause) {
      if (!['EEXIST', 'ENOTDIR'].includes(systemErrorCode(cause) ?? '')) throw cause;
      throw new AppError('ARCHIVE_UNSAFE', { message: `The archive uses a file as a folder: ${shown(path)}` }, { cause });
    }
    return target;
  }

  /** Counts unpacked bytes as they come, whatever the archive declares. */
  count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) {
      throw new AppError('ARCHIVE_UNSAFE', { message: `The archive unpacks to more than ${this.#maxBytes} bytes.` });
    }
  }

  refuse(entryPath: string, what: string): AppError {
    return new AppError('ARCHIVE_UNSAFE', {
      message: `The archive holds ${what}: ${shown(entryPath)}`,
      hint: 'Pack regular files and folders only.',
    });
  }
}

function shown(path: string): string {
  return JSON.stringify(path.slice(0, 200));
}

/** True for what the file system says (ENOSPC, EACCES, ...): not the archive's fault. */
export function isFileSystemError(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code !== undefined && /^E(?!RR_)/.test(code);
}
