import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DeltaOffer, toAppError } from '@selvedge/contract';
import { type DownloadResponse, describeError, downloadResumable, type Logger, pathExists } from '@selvedge/runtime';

export interface PatchFetcherOptions {
  /** Opens a blob of the server from a byte on. */
  openBlob: (sha256: string, offset: number, signal: AbortSignal) => Promise<DownloadResponse>;
  log: Logger;
}

/** Something that a patch makes. */
export interface Patched {
  /** What it is called in the log. */
  path: string;
  /** What it costs to fetch it whole. */
  sizeBytes: number;
  /** Folder for what is needed meanwhile; what is left in it is gone on with. */
  scratch: string;
}

/** A patch whose download failed as often as this is given up for the whole file. */
const MAX_PATCH_FAILURES = 2;
/** They end this fetch whichever way it is made: the next one goes on from there. */
const NETWORK_CODES = ['DOWNLOAD_FAILED', 'SERVER_UNREACHABLE'];

/** Fetches patches and has them used. Any failure but that of the network leads to the whole, and no patch is tried again that failed. */
export class PatchFetcher {
  readonly #options: PatchFetcherOptions;
  /** By the patch's digest. */
  readonly #failures = new Map<string, number>();

  constructor(options: PatchFetcherOptions) {
    this.#options = options;
  }

  /**
   * @param use - makes the result of the patch that is at this path, verified.
   * @param onProgress - bytes of the result that are there, as far as can be told.
   * @returns what came over the network for it.
   * @throws AppError DOWNLOAD_FAILED, SERVER_UNREACHABLE (operational); the signal's reason.
   */
  async fetch(
    wanted: Patched,
    patch: DeltaOffer['patch'],
    use: (path: string) => Promise<void>,
    onProgress: (doneBytes: number) => void,
    signal: AbortSignal,
  ): Promise<{ isDone: boolean; bytes: number }> {
    const { log } = this.#options;
    const none = { isDone: false, bytes: 0 };
    if ((this.#failures.get(patch.sha256) ?? 0) >= MAX_PATCH_FAILURES) return none;
    const path = join(wanted.scratch, patch.sha256);
    try {
      await this.#download(patch, path, (done) => onProgress(Math.floor((done / patch.sizeBytes) * wanted.sizeBytes)), signal);
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = toAppError(error);
      this.#failures.set(patch.sha256, (this.#failures.get(patch.sha256) ?? 0) + 1);
      if (NETWORK_CODES.includes(code)) throw error;
      log.warn('a patch could not be fetched; fetching the whole file', { path: wanted.path, code, error: message });
      return none;
    }
    try {
      await use(path);
      log.info('patched', { path: wanted.path, patchBytes: patch.sizeBytes, wholeBytes: wanted.sizeBytes });
      return { isDone: true, bytes: patch.sizeBytes };
    } catch (error) {
      signal.throwIfAborted();
      this.#failures.set(patch.sha256, MAX_PATCH_FAILURES);
      log.warn('a patch gave no result; fetching the whole file', { path: wanted.path, ...describeError(error) });
      return { isDone: false, bytes: patch.sizeBytes };
    } finally {
      if (!signal.aborted) await rm(path, { force: true });
    }
  }

  async #download(patch: DeltaOffer['patch'], path: string, onProgress: (done: number) => void, signal: AbortSignal): Promise<void> {
    const { openBlob, log } = this.#options;
    const { sha256, sizeBytes } = patch;
    const open = (offset: number) => openBlob(sha256, offset, signal);
    if (await pathExists(path)) return; // verified when it came
    await downloadResumable({ open, destination: path, sha256, sizeBytes, onProgress, signal, log });
  }
}
