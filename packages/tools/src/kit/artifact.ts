import { EventEmitter } from 'node:events';
import { appendFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import {
  type ArtifactRequest,
  type ArtifactStatus,
  artifactNameSchema,
  artifactRequestSchema,
  type JobResources,
  sha256Schema,
} from '@selvedge/contract';
import { describeError, type Logger, SerialRunner, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';
import { type ArtifactPaths, artifactPaths } from './artifact-paths.ts';
import { MetricFiles } from './metric-files.ts';
import { settleAll } from './settle-all.ts';

const uploadSchema = z.strictObject({
  input: z.string(),
  file: z.string(),
  sha256: sha256Schema,
  sizeBytes: z.int().min(0),
});
export type Upload = z.infer<typeof uploadSchema>;

/** `inputs.json`. `sequence` is the place in the queue: it grows with every request that the tool accepts. */
export const inputRecordSchema = z.strictObject({
  name: artifactNameSchema,
  sequence: z.int().min(1),
  inputs: artifactRequestSchema.shape.inputs.unwrap(),
  uploads: z.array(uploadSchema),
});
export type InputRecord = z.infer<typeof inputRecordSchema>;

export function isFinished(status: ArtifactStatus): boolean {
  return status.status === 'completed' || status.status === 'failed' || status.status === 'cancelled';
}

/** How often progress reaches the disk at most; the API answers from memory. */
const PROGRESS_WRITE_INTERVAL_MS = 1000;
/** A log beyond this is cut with a notice: a tool that logs in a loop must not fill the disk. */
const MAX_LOG_BYTES = 32 * 1024 * 1024;

export interface ArtifactState {
  readonly record: InputRecord;
  readonly parameters: ArtifactRequest['parameters'];
  readonly status: ArtifactStatus;
  readonly logBytes: number;
}

/**
 * One artifact: its folder and what is known of it in memory.
 *
 * Invariants: the file `status` is never ahead of the other files; a finished artifact is not written again.
 * Emits `change` when the log has grown or the status has moved.
 */
export class Artifact extends EventEmitter<{ change: [] }> {
  readonly paths: ArtifactPaths;
  readonly record: InputRecord;
  readonly parameters: ArtifactRequest['parameters'];
  readonly metrics: MetricFiles;
  readonly #logger: Logger;
  readonly #writes = new SerialRunner();
  #status: ArtifactStatus;
  #logBytes: number;
  #progressTimer: NodeJS.Timeout | undefined;

  constructor(folder: string, state: ArtifactState, logger: Logger) {
    super();
    this.setMaxListeners(0); // one per reader that follows the log
    this.paths = artifactPaths(folder);
    this.record = state.record;
    this.parameters = state.parameters;
    this.metrics = new MetricFiles(this.paths.metrics);
    this.#status = state.status;
    this.#logBytes = state.logBytes;
    this.#logger = logger;
  }

  get name(): string {
    return this.record.name;
  }

  get status(): ArtifactStatus {
    return this.#status;
  }

  /** Size of the log in bytes, as far as it is written. */
  get logBytes(): number {
    return this.#logBytes;
  }

  /**
   * Moves the status: first on disk, then in memory, so that nobody is told of an end that a crash could undo. If it cannot
   * be written it moves in memory alone and rejects; a restart then repeats the work.
   */
  async update(change: Partial<ArtifactStatus>): Promise<void> {
    clearTimeout(this.#progressTimer);
    this.#progressTimer = undefined;
    const next = { ...this.#status, ...change };
    try {
      // The next restart does the same with a queued artifact and with one in progress.
      await this.#writes.run(() => writeJsonAtomic(this.paths.status, next, { mayRevert: !isFinished(next) }));
    } finally {
      this.#status = next;
      this.emit('change');
    }
  }

  /** Shows what the work has used so far; written with the progress. */
  showResources(resources: JobResources): void {
    this.#status = { ...this.#status, resources };
  }

  /** Moves progress and message; written now and then. */
  showProgress(progress: number, message: string): void {
    this.#status = { ...this.#status, progress: Math.min(1, Math.max(0, Number.isFinite(progress) ? progress : 0)), message };
    this.#progressTimer ??= setTimeout(() => {
      this.#progressTimer = undefined;
      this.#writes
        .run(() => writeJsonAtomic(this.paths.status, this.#status, { mayRevert: true }))
        .catch((error: unknown) => this.#logger.warn('progress not written', { artifact: this.name, ...describeError(error) }));
    }, PROGRESS_WRITE_INTERVAL_MS).unref();
  }

  /** Adds lines to the log, each with the time. Synchronous, so that a crash right after keeps them in order. */
  log(text: string): void {
    if (this.#logBytes >= MAX_LOG_BYTES) return;
    const at = new Date().toISOString();
    const lines = text
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => `${at} ${line}\n`);
    const bytes = Buffer.from(lines.join(''));
    const room = this.#logBytes + bytes.length < MAX_LOG_BYTES;
    const chunk = room ? bytes : Buffer.from(`${at} the log is full; what follows is not kept\n`);
    appendFileSync(this.paths.log, chunk);
    this.#logBytes = room ? this.#logBytes + chunk.length : MAX_LOG_BYTES;
    this.emit('change');
  }

  /** Makes the folders ready for an attempt: `data/` empty, metrics kept only if a checkpoint says that work goes on. */
  async clearForAttempt(hasCheckpoint: boolean): Promise<void> {
    if (!hasCheckpoint) this.metrics.clear();
    const { data, work, checkpoint } = this.paths;
    await settleAll([data, work].map((folder) => rm(folder, { recursive: true, force: true })));
    await settleAll([data, work, checkpoint].map((folder) => mkdir(folder, { recursive: true })));
  }

  /** Removes what only the work needs. */
  async clearAfterAttempt(options: { keepCheckpoint: boolean; keepData: boolean }): Promise<void> {
    const { work, jobLock, checkpoint, data } = this.paths;
    const gone = [work, jobLock, ...(options.keepCheckpoint ? [] : [checkpoint]), ...(options.keepData ? [] : [data])];
    await settleAll(gone.map((path) => rm(path, { recursive: true, force: true })));
  }
}
