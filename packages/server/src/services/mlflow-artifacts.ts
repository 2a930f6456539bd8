import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import type { SerialRunner } from '@selvedge/runtime';
import type { BlobStore } from '../ports/blob-store.ts';
import type { MlflowArtifact } from '../ports/mlflow-store.ts';
import type { Store } from '../ports/store.ts';

const MAX_PATH_LENGTH = 1024;
const MAX_FILES_PER_RUN = 10_000;

/** A file or a folder, by its path below the folder that was asked for. */
export interface ArtifactEntry {
  readonly path: string;
  readonly isFolder: boolean;
  readonly sizeBytes: number;
}

/** Files of runs: names in the database, content in the blob store. Errors are NOT_FOUND and INPUT_INVALID (both user). */
export class MlflowArtifacts {
  readonly #store: Store;
  readonly #blobs: BlobStore;
  readonly #maxBytes: number;
  readonly #serial: SerialRunner;

  /** @param options.serial - shared with what deletes blobs. */
  constructor(options: { store: Store; blobs: BlobStore; serial: SerialRunner; maxUploadBytes: number }) {
    this.#store = options.store;
    this.#serial = options.serial;
    this.#blobs = options.blobs;
    this.#maxBytes = options.maxUploadBytes;
  }

  /** @param location - `<experiment>/<run>/artifacts/<path>`, as in the artifact proxy's addresses. */
  async save(location: string, content: Readable, signal: AbortSignal): Promise<void> {
    const { run, path } = await this.#resolve(location);
    if (path === '') throw new AppError('INPUT_INVALID', { message: 'The address names no file.' });
    const others = await this.#store.mlflow.listArtifacts(run, '');
    if (others.length >= MAX_FILES_PER_RUN)
      throw new AppError('INPUT_INVALID', { message: `A run has at most ${MAX_FILES_PER_RUN} files.` });
    const collision = others.find((other) => other.path.startsWith(`${path}/`) || path.startsWith(`${other.path}/`));
    if (collision !== undefined) throw new AppError('INPUT_INVALID', { message: `"${path}" cannot be a file beside "${collision.path}".` });
    const { sha256, sizeBytes } = await this.#blobs.put(content, { maxBytes: this.#maxBytes, signal });
    await this.#serial.run(async () => {
      // The same bytes may have been there before, and have been removed with a dataset before the artifact needed them.
      if ((await this.#blobs.stat(sha256)) === undefined)
        throw new AppError('CONFLICT', { message: 'The same data was removed while it was being logged.', hint: 'Log it again.' });
      await this.#store.mlflow.saveArtifact(run, { path, sha256, sizeBytes });
    });
  }

  async find(location: string): Promise<MlflowArtifact> {
    const { run, path } = await this.#resolve(location);
    const found = await this.#store.mlflow.getArtifact(run, path);
    if (found === undefined) throw new AppError('NOT_FOUND', { message: `Run ${run} has no artifact "${path}".` });
    return found;
  }

  /** Content stays in the blob store: another name may have the same. */
  async remove(location: string): Promise<void> {
    const { run, path } = await this.#resolve(location);
    if ((await this.#store.mlflow.deleteArtifacts(run, path)) === 0) {
      throw new AppError('NOT_FOUND', { message: `Run ${run} has no artifact "${path}".` });
    }
  }

  /** What is directly in the folder; empty when there is nothing. */
  async listAt(location: string): Promise<ArtifactEntry[]> {
    const { run, path } = await this.#resolve(location);
    return await this.list(run, path);
  }

  /** @param folder - below the run's own; "" for that. */
  async list(run: string, folder: string): Promise<ArtifactEntry[]> {
    const path = checkedPath(folder);
    const below = path === '' ? 0 : path.length + 1;
    const entries = new Map<string, ArtifactEntry>();
    for (const artifact of await this.#store.mlflow.listArtifacts(run, path)) {
      const [name = '', ...rest] = artifact.path.slice(below).split('/');
      entries.set(
        name,
        rest.length > 0 ? { path: name, isFolder: true, sizeBytes: 0 } : { path: name, isFolder: false, sizeBytes: artifact.sizeBytes },
      );
    }
    return [...entries.values()];
  }

  async #resolve(location: string): Promise<{ run: string; path: string }> {
    const [, experiment = '', run = '', path = ''] = /^(\d+)\/([0-9a-f]{32})\/artifacts(?:\/(.*))?$/.exec(location) ?? [];
    const found = run === '' ? undefined : await this.#store.mlflow.getRun(run);
    if (found === undefined || String(found.experiment) !== experiment) {
      throw new AppError('NOT_FOUND', { message: `"${location.slice(0, 200)}" is not below the artifacts of a run.` });
    }
    return { run, path: checkedPath(path) };
  }
}

function checkedPath(path: string): string {
  const clean = path.replace(/\/$/, '');
  const isPlain =
    clean === '' || (posix.normalize(clean) === clean && !clean.startsWith('/') && !clean.split('/').includes('..') && clean !== '.');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is refused
  if (!isPlain || clean.length > MAX_PATH_LENGTH || /[\u0000-\u001f\\]/.test(clean)) {
    throw new AppError('INPUT_INVALID', { message: `Invalid path: ${JSON.stringify(path.slice(0, 200))}` });
  }
  return clean;
}
