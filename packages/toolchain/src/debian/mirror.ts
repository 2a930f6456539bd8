import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import { type DownloadResponse, downloadResumable, type Logger, readBounded, sha256File, systemErrorCode } from '@selvedge/runtime';
import type { IndexedFile } from './control-file.ts';

const SILENCE_MS = 60_000;

/** A host that holds a Debian archive, over HTTP. */
export class Mirror {
  readonly #base: string;
  readonly #log: Logger | undefined;
  readonly #maxAttempts: number;

  /** @throws AppError USAGE when the URL is none. */
  constructor(url: string, options: { log?: Logger; maxAttempts?: number } = {}) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw new AppError('USAGE', {
        message: `The mirror ${url} is not an http(s) URL.`,
        hint: 'Give it like http://deb.debian.org/debian.',
      });
    this.#base = url.replace(/\/+$/, '');
    this.#log = options.log;
    this.#maxAttempts = options.maxAttempts ?? 4;
  }

  get url(): string {
    return this.#base;
  }

  /** A small text file, at most `maxBytes`. @throws AppError DOWNLOAD_FAILED, NOT_FOUND. */
  async text(path: string, maxBytes: number, signal?: AbortSignal): Promise<string> {
    const response = await this.#open(path, 0, signal);
    if (response.status !== 200) {
      response.body.destroy();
      throw this.#refused(path, response.status);
    }
    try {
      return (await readBounded(response.body, maxBytes, `${this.#base}/${path} is larger than ${maxBytes} bytes.`)).toString('utf8');
    } catch (error) {
      if (error instanceof AppError) throw error;
      signal?.throwIfAborted();
      throw this.#unreachable(path, error);
    }
  }

  /**
   * Downloads a file into a folder of files named by digest; one that is there already is not asked for again.
   *
   * @returns its path.
   * @throws AppError DOWNLOAD_FAILED, NOT_FOUND, DIGEST_MISMATCH, DISK_FULL; each names the URL.
   */
  async download(path: string, file: IndexedFile, folder: string, options: DownloadHooks = {}): Promise<string> {
    const destination = join(folder, file.sha256);
    if (await isThere(destination, file)) return destination;
    try {
      await downloadResumable({
        open: (offset) => this.#open(path, offset, options.signal),
        destination,
        sha256: file.sha256,
        sizeBytes: file.sizeBytes,
        maxAttempts: this.#maxAttempts,
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(this.#log === undefined ? {} : { log: this.#log }),
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof AppError) || error.code === 'DISK_FULL') throw error;
      const hint =
        error.code === 'DIGEST_MISMATCH'
          ? 'The mirror is damaged, or is being updated: try again in a while, or choose another one with --mirror.'
          : (error.details.hint ?? NETWORK_HINT);
      throw new AppError(error.code, { ...error.details, message: `${this.#base}/${path}: ${error.message}`, hint }, { cause: error });
    }
    return destination;
  }

  async #open(path: string, offset: number, signal?: AbortSignal): Promise<DownloadResponse> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new Error(`no data for ${SILENCE_MS / 1000} s`)), SILENCE_MS);
    const both = signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]);
    try {
      const headers = { 'accept-encoding': 'identity', ...(offset > 0 ? { range: `bytes=${offset}-` } : {}) };
      const response = await fetch(`${this.#base}/${path}`, { headers, signal: both });
      const body = response.body === null ? Readable.from([]) : Readable.fromWeb(response.body as never);
      body.on('data', () => timer.refresh());
      body.pause();
      body.once('close', () => clearTimeout(timer));
      return { status: response.status, headers: Object.fromEntries(response.headers), body };
    } catch (error) {
      clearTimeout(timer);
      signal?.throwIfAborted();
      throw this.#unreachable(path, error);
    }
  }

  #unreachable(path: string, cause: unknown): AppError {
    const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    const reason = systemErrorCode(inner) ?? (inner instanceof Error ? inner.message : String(inner));
    return new AppError(
      'DOWNLOAD_FAILED',
      { message: `${new URL(this.#base).host} cannot be reached (${reason}) for ${this.#base}/${path}.`, hint: NETWORK_HINT },
      { cause },
    );
  }

  #refused(path: string, status: number): AppError {
    return new AppError(status === 404 ? 'NOT_FOUND' : 'DOWNLOAD_FAILED', {
      message: `${this.#base}/${path} was answered with HTTP ${status}.`,
      hint: 'Is it a mirror of Debian? It must hold dists/ and pool/. Choose another one with --mirror or SELVEDGE_DEBIAN_MIRROR.',
    });
  }
}

/** A file that is there was verified when it got its name; a digest again costs less than a damaged installation. */
async function isThere(path: string, file: IndexedFile): Promise<boolean> {
  try {
    if ((await stat(path)).size === file.sizeBytes && (await sha256File(path)) === file.sha256) return true;
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  return false;
}

export interface DownloadHooks {
  signal?: AbortSignal;
  onProgress?: (doneBytes: number) => void;
}

const NETWORK_HINT =
  'Check the network, then run the same command again: it goes on where it stopped. --mirror or SELVEDGE_DEBIAN_MIRROR name another mirror.';
