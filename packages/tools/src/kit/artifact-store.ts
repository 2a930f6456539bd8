import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AppError,
  type ArtifactRequest,
  type ArtifactStatus,
  artifactNameSchema,
  artifactStatusSchema,
  CANCEL_MARKER,
} from '@selvedge/contract';
import { describeError, type Logger, readJsonFile, SerialRunner, syncFolder, systemErrorCode } from '@selvedge/runtime';
import * as z from 'zod';
import { Artifact, inputRecordSchema, isFinished, type Upload } from './artifact.ts';
import { artifactPaths } from './artifact-paths.ts';
import { canonicalJson } from './canonical-json.ts';
import { settleAll } from './settle-all.ts';

/** An artifact that was under way this often when the process died is given up: it is what kills the process. */
const MAX_ATTEMPTS_ENDED_BY_CRASH = 5;

export interface StagedUploads {
  /** Folder with <input>/<file>, on the same file system as the store; it is moved, not copied. */
  readonly folder: string;
  readonly files: readonly Upload[];
}

/**
 * The artifacts of one tool, on disk below `<data>/artifacts/<name>/` and in memory.
 *
 * Invariants: a folder appears below `artifacts/` complete (made below `tmp/` and renamed) and disappears in one rename;
 * whatever is below `tmp/` when the process starts is left over and removed.
 */
export class ArtifactStore {
  readonly #artifactsFolder: string;
  readonly #tmpFolder: string;
  readonly #logger: Logger;
  readonly #artifacts = new Map<string, Artifact>();
  readonly #changes = new SerialRunner();
  #lastSequence = 0;

  constructor(dataFolder: string, logger: Logger) {
    this.#artifactsFolder = join(dataFolder, 'artifacts');
    this.#tmpFolder = join(dataFolder, 'tmp');
    this.#logger = logger;
  }

  /** Reads what is on disk; what was in progress is queued again. A folder that cannot be read is reported and left alone. */
  async load(): Promise<void> {
    await rm(this.#tmpFolder, { recursive: true, force: true });
    await mkdir(this.#tmpFolder, { recursive: true });
    await mkdir(this.#artifactsFolder, { recursive: true });
    for (const name of (await readdir(this.#artifactsFolder)).sort()) {
      try {
        const artifact = await this.#read(name);
        this.#artifacts.set(artifact.name, artifact);
        this.#lastSequence = Math.max(this.#lastSequence, artifact.record.sequence);
        await this.#takeUpAgain(artifact);
      } catch (error) {
        this.#logger.error('artifact folder is not readable; left as it is', { folder: name, ...describeError(error) });
      }
    }
  }

  /** All artifacts in the order of their creation. */
  list(): Artifact[] {
    return [...this.#artifacts.values()].sort((a, b) => a.record.sequence - b.record.sequence);
  }

  get(name: string): Artifact | undefined {
    return this.#artifacts.get(name);
  }

  nextQueued(): Artifact | undefined {
    return this.list().find((artifact) => artifact.status.status === 'queued');
  }

  /** A new empty folder for uploads in the making. */
  async stagingFolder(): Promise<string> {
    const folder = join(this.#tmpFolder, randomUUID());
    await mkdir(folder);
    return folder;
  }

  /** Removes staged uploads that were not taken over by a new artifact. */
  async discard(uploads: StagedUploads | undefined): Promise<void> {
    if (uploads !== undefined) await rm(uploads.folder, { recursive: true, force: true });
  }

  /**
   * Puts a request into the queue; safe on disk when it resolves. The same request again is answered with what there is.
   *
   * @throws AppError CONFLICT (user) when the name is taken by another request; DISK_FULL (operational).
   */
  create(request: ArtifactRequest, uploads: StagedUploads | undefined): Promise<{ artifact: Artifact; created: boolean }> {
    return this.#changes.run(async () => {
      const existing = this.#artifacts.get(request.name);
      if (existing !== undefined) {
        if (sameRequest(existing, request, uploads?.files ?? [])) return { artifact: existing, created: false };
        throw new AppError('CONFLICT', {
          message: `There is an artifact "${request.name}" here that was made from other parameters or inputs.`,
          hint: 'Choose another name, or delete the artifact first.',
        });
      }
      const artifact = await this.#write(request, uploads);
      this.#artifacts.set(artifact.name, artifact);
      return { artifact, created: true };
    });
  }

  /** Removes an artifact that nobody works on. */
  remove(artifact: Artifact): Promise<void> {
    return this.#changes.run(async () => {
      if (this.#artifacts.get(artifact.name) !== artifact) return;
      const trash = join(this.#tmpFolder, randomUUID());
      await rename(artifact.paths.root, trash);
      await syncFolder(this.#artifactsFolder);
      this.#artifacts.delete(artifact.name);
      await rm(trash, { recursive: true, force: true });
    });
  }

  async #write(request: ArtifactRequest, uploads: StagedUploads | undefined): Promise<Artifact> {
    const sequence = this.#lastSequence + 1;
    const record = { name: request.name, sequence, inputs: request.inputs ?? {}, uploads: [...(uploads?.files ?? [])] };
    const status: ArtifactStatus = {
      status: 'queued',
      progress: 0,
      message: 'Waiting in the queue',
      attempt: 0,
      createdAt: new Date().toISOString(),
      startedAt: null,
      finishedAt: null,
      error: null,
    };
    const staging = await this.stagingFolder();
    try {
      const paths = artifactPaths(staging);
      const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
      // All at once: the file system flushes them together.
      await settleAll([
        mkdir(paths.data),
        uploads === undefined ? mkdir(paths.inputFiles) : rename(uploads.folder, paths.inputFiles),
        writeFile(paths.log, ''),
        writeFile(paths.inputParameters, json(request.parameters), { flush: true }),
        writeFile(paths.inputs, json(record), { flush: true }),
        writeFile(paths.status, json(status), { flush: true }),
      ]);
      await rename(staging, join(this.#artifactsFolder, request.name));
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      throw error;
    }
    await syncFolder(this.#artifactsFolder);
    this.#lastSequence = sequence;
    return new Artifact(
      join(this.#artifactsFolder, request.name),
      { record, parameters: request.parameters, status, logBytes: 0 },
      this.#logger,
    );
  }

  async #read(name: string): Promise<Artifact> {
    const folder = join(this.#artifactsFolder, artifactNameSchema.parse(name));
    const paths = artifactPaths(folder);
    const record = await readJsonFile(paths.inputs, inputRecordSchema);
    const parameters = await readJsonFile(paths.inputParameters, z.record(z.string(), z.unknown()));
    const status = await readJsonFile(paths.status, artifactStatusSchema);
    if (record === undefined || parameters === undefined || status === undefined || record.name !== name) {
      throw new AppError('INPUT_INVALID', { message: `${folder} is not a complete artifact folder.` });
    }
    const logBytes = await stat(paths.log).then(
      (entry) => entry.size,
      (error: unknown) => {
        if (systemErrorCode(error) === 'ENOENT') return 0;
        throw error;
      },
    );
    return new Artifact(folder, { record, parameters, status, logBytes }, this.#logger);
  }

  async #takeUpAgain(artifact: Artifact): Promise<void> {
    if (isFinished(artifact.status)) return artifact.clearAfterAttempt({ keepCheckpoint: false, keepData: true });
    if (await exists(join(artifact.paths.root, CANCEL_MARKER))) {
      artifact.log('cancelled: the process was ended because it did not end the work');
      await artifact.clearAfterAttempt({ keepCheckpoint: false, keepData: false });
      return artifact.update({ status: 'cancelled', message: 'Cancelled.', finishedAt: new Date().toISOString() });
    }
    if (artifact.status.status !== 'in-progress') return;
    const { attempt } = artifact.status;
    if (attempt < MAX_ATTEMPTS_ENDED_BY_CRASH) {
      await artifact.update({ status: 'queued', message: 'Taken up again after a restart' });
      return;
    }
    const message = `The tool's process ended ${attempt} times while it made this artifact.`;
    artifact.log(message);
    await artifact.clearAfterAttempt({ keepCheckpoint: false, keepData: false });
    const error = { code: 'STEP_FAILED', message, hint: 'Look for an out-of-memory kill in the log of the machine.' };
    await artifact.update({ status: 'failed', message, finishedAt: new Date().toISOString(), error });
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function sameRequest(existing: Artifact, request: ArtifactRequest, uploads: readonly Upload[]): boolean {
  const { inputs, uploads: stored } = existing.record;
  const files = (list: readonly Upload[]) => [...list].sort((a, b) => (a.input < b.input ? -1 : 1));
  return (
    canonicalJson([existing.parameters, inputs, files(stored)]) ===
    canonicalJson([request.parameters, request.inputs ?? {}, files(uploads)])
  );
}
