import { constants } from 'node:fs';
import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DELTA_FORMAT, type DeltaOffer, MAX_DELTA_BASES, toAppError } from '@selvedge/contract';
import {
  type DownloadResponse,
  downloadResumable,
  type Logger,
  pathExists,
  sha256File,
  syncFolder,
  writeFileAtomic,
} from '@selvedge/runtime';
import type { PatchRequest } from '../process/run-patcher.ts';
import type { PatchFetcher } from './patch-fetcher.ts';
import { basesFor, type KnownFile } from './versions-on-disk.ts';

export interface FileFetcherOptions {
  /** Opens a blob of the server from a byte on. */
  openBlob: (sha256: string, offset: number, signal: AbortSignal) => Promise<DownloadResponse>;
  /** Asks the server for a patch against one of these; undefined when it has none. */
  askDelta: (sha256: string, from: readonly string[], signal: AbortSignal) => Promise<DeltaOffer | undefined>;
  /** Makes a file by a patch, verified. */
  applyDelta: (request: PatchRequest) => Promise<void>;
  log: Logger;
}

export interface WantedFile {
  path: string;
  sha256: string;
  sizeBytes: number;
  /** Where it goes. */
  destination: string;
  /** Folder for what is needed meanwhile; what is left in it is gone on with. */
  scratch: string;
}

/** Bytes that came over the network, and of what they or the disk made. */
export interface FetchedBytes {
  fetchedBytes: number;
  sharedBytes: number;
  patchedBytes: number;
}

/** Below it, the request for a patch costs about what the patch could save. */
const SMALLEST_PATCHED_BYTES = 32 * 1024;
/** Gets files in the way that takes the fewest bytes: from another version on disk, by a patch, or whole. */
export class FileFetcher {
  readonly #options: FileFetcherOptions;
  readonly #patches: PatchFetcher;

  constructor(options: FileFetcherOptions, patches: PatchFetcher) {
    this.#options = options;
    this.#patches = patches;
  }

  /**
   * @param known - what is on disk; nothing of it is trusted.
   * @param onProgress - bytes of the file that are there, as far as can be told.
   * @throws AppError as downloadResumable does.
   */
  async fetch(
    file: WantedFile,
    known: readonly KnownFile[],
    onProgress: (doneBytes: number) => void,
    signal: AbortSignal,
  ): Promise<FetchedBytes> {
    const { destination, sha256, sizeBytes } = file;
    if (sizeBytes === 0) {
      await writeFileAtomic(destination, '');
      return { fetchedBytes: 0, sharedBytes: 0, patchedBytes: 0 };
    }
    if (await this.#share(file, known, signal)) return { fetchedBytes: 0, sharedBytes: sizeBytes, patchedBytes: 0 };
    const spent = await this.#patch(file, known, onProgress, signal);
    if (spent.isDone) return { fetchedBytes: spent.bytes, sharedBytes: 0, patchedBytes: sizeBytes };
    const { openBlob, log } = this.#options;
    await downloadResumable({
      open: (offset) => openBlob(sha256, offset, signal),
      destination,
      sha256,
      sizeBytes,
      onProgress,
      signal,
      log,
    });
    return { fetchedBytes: spent.bytes + sizeBytes, sharedBytes: 0, patchedBytes: 0 };
  }

  /** A copy (of one's own blocks, or of shared ones where the file system copies on write), so that damage to one is none to the other. */
  async #share({ destination, sha256, sizeBytes, path }: WantedFile, known: readonly KnownFile[], signal: AbortSignal): Promise<boolean> {
    const found = known.find((file) => file.sha256 === sha256 && file.sizeBytes === sizeBytes);
    if (found === undefined) return false;
    const temporary = `${destination}.new`;
    await mkdir(dirname(destination), { recursive: true });
    try {
      await copyFile(found.location, temporary, constants.COPYFILE_FICLONE);
      if ((await sha256File(temporary, signal)) !== sha256) throw new Error('its digest is another one');
      await syncFile(temporary);
      await rename(temporary, destination);
      await syncFolder(dirname(destination));
      return true;
    } catch (error) {
      signal.throwIfAborted();
      this.#options.log.warn('a file on disk could not be used again', {
        path,
        location: found.location,
        error: toAppError(error).message,
      });
      return false;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Any failure but that of the network leads to the whole file. @returns what came over the network for it. */
  async #patch(
    file: WantedFile,
    known: readonly KnownFile[],
    onProgress: (doneBytes: number) => void,
    signal: AbortSignal,
  ): Promise<{ isDone: boolean; bytes: number }> {
    const none = { isDone: false, bytes: 0 };
    const bases = file.sizeBytes < SMALLEST_PATCHED_BYTES ? [] : basesFor(file, known, MAX_DELTA_BASES);
    // what has come of the whole already is gone on with
    if (bases.length === 0 || (await pathExists(`${file.destination}.part`))) return none;
    const offer = await this.#ask(file, bases, signal);
    const base = bases.find(({ sha256 }) => sha256 === offer?.from);
    if (offer === undefined || base === undefined) return none;
    const use = async (patch: string) => {
      const { destination, sha256, sizeBytes } = file;
      const result = join(file.scratch, 'result');
      await this.#options.applyDelta({ base: base.location, patch, destination: result, sha256, sizeBytes, signal });
      await mkdir(dirname(destination), { recursive: true });
      await rename(result, destination);
      await syncFolder(dirname(destination));
    };
    return this.#patches.fetch(file, offer.patch, use, onProgress, signal);
  }

  async #ask({ sha256, sizeBytes, path }: WantedFile, bases: readonly KnownFile[], signal: AbortSignal): Promise<DeltaOffer | undefined> {
    const from = bases.map((base) => base.sha256);
    try {
      const offer = await this.#options.askDelta(sha256, from, signal);
      return offer?.format === DELTA_FORMAT && offer.patch.sizeBytes < sizeBytes ? offer : undefined;
    } catch (error) {
      signal.throwIfAborted();
      this.#options.log.debug('no patch could be asked for', { path, error: toAppError(error).message });
      return undefined;
    }
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
