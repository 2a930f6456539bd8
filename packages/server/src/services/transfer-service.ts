import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError, type OperationTask, type TransferResult } from '@selvedge/contract';
import type { BlobInfo } from '../ports/blob-store.ts';
import type { TransferFiles } from '../ports/transfer-files.ts';
import { type CommandBody, type DeviceCommands, unexpectedReply } from './device-commands.ts';
import { type DeviceOutcome, type DeviceWork, handlerEntry } from './operation-handler.ts';

export interface TransferServiceOptions {
  files: TransferFiles;
  commands: DeviceCommands;
  maxBytes: number;
  clock: () => Date;
}

type PushTask = Extract<OperationTask, { type: 'push' | 'push-folder' }>;
/** A push of a file, or of a folder as an archive: here they are the same. */
type PushWork = DeviceWork<'push'> | DeviceWork<'push-folder'>;
type Work = PushWork | DeviceWork<'pull'>;
/** What is under way with a device: how far it is can be seen from what is read or written here. */
interface Underway {
  readonly device: string;
  readonly operation: string;
  readonly sha256?: string;
  /** Whole size; of what a device sends, as it announced it. */
  totalBytes: number;
  doneBytes: () => number;
}

/** After that a device is asked again; it goes on with what it has begun. */
const ANSWER_MS = 6 * 3_600_000;
const CANCEL_MS = 10_000;
const PROGRESS_MS = 1000;
/** A file that changes while it is sent is sent anew so often. */
const MAX_PULLS = 3;
/** Content that no operation needs is kept so long: one may be about to be made. */
const UNUSED_KEPT_MS = 86_400_000;
const WAITS = { waitsForDevices: true, expiresInS: 86_400 };

/**
 * Files to and from devices. The device fetches and sends by itself; here is kept what it may fetch and what it has sent, and how
 * far it is.
 */
export class TransferService {
  readonly #options: TransferServiceOptions;
  readonly #underway = new Set<Underway>();

  constructor(options: TransferServiceOptions) {
    this.#options = options;
  }

  get files(): Pick<TransferFiles, 'stat' | 'open'> {
    return this.#options.files;
  }

  /** For the table of handlers: all may be asked again at any time, which goes on with what the device has. */
  readonly handlers = [
    handlerEntry('push', { ...WAITS, check: (task) => this.#needContent(task), run: (work) => this.#push(work) }),
    handlerEntry('push-folder', { ...WAITS, check: (task) => this.#needContent(task), run: (work) => this.#pushFolder(work) }),
    handlerEntry('pull', { ...WAITS, run: (work) => this.#pull(work) }),
  ] as const;

  /** How much of a file that is to be pushed has come in. */
  async uploadState(sha256: string): Promise<{ sha256: string; receivedBytes: number; complete: boolean }> {
    const { files } = this.#options;
    const whole = await files.stat(sha256);
    if (whole === undefined) return { sha256, receivedBytes: await files.receivedBytes(uploadKey(sha256)), complete: false };
    await files.touch(sha256);
    return { sha256, receivedBytes: whole.sizeBytes, complete: true };
  }

  /** Takes a file that is to be pushed, or the rest of it. @throws AppError as TransferFiles does; PAYLOAD_TOO_LARGE. */
  async receiveUpload(sha256: string, body: Readable, { offset, size }: { offset: number; size: number }) {
    const { files } = this.#options;
    this.#refuseTooLarge(size);
    if ((await files.stat(sha256)) === undefined) {
      const key = uploadKey(sha256);
      const received = await files.receive(key, body, { offset, sizeBytes: size });
      if (received === size) await files.finish(key, { sha256, sizeBytes: size });
    }
    return this.uploadState(sha256);
  }

  /** Content that the device is to get now; its size is undefined when there is none for it. */
  async stat(device: string, sha256: string): Promise<BlobInfo | undefined> {
    const wanted = [...this.#underway].some((one) => one.device === device && one.sha256 === sha256);
    return wanted ? this.#options.files.stat(sha256) : undefined;
  }

  async open(device: string, sha256: string, range?: { start: number; end: number }): Promise<Readable | undefined> {
    const content = await this.#options.files.open(sha256, range);
    if (content === undefined) return undefined;
    const start = range?.start ?? 0;
    for (const one of this.#underway) if (one.device === device && one.sha256 === sha256) one.doneBytes = () => start + bytesRead(content);
    return content;
  }

  /** How much of what the device is to send has come in. @throws AppError NOT_FOUND when it is to send nothing. */
  async sentBytes(device: string, operation: string): Promise<number> {
    this.#sender(device, operation);
    return this.#options.files.receivedBytes(pullKey(device, operation));
  }

  /** Takes what a device sends. @returns how much has come in. */
  async receiveFromDevice(
    device: string,
    operation: string,
    body: Readable,
    { offset, size }: { offset: number; size: number },
  ): Promise<number> {
    const one = this.#sender(device, operation);
    this.#refuseTooLarge(size);
    one.totalBytes = size;
    return this.#options.files.receive(pullKey(device, operation), body, {
      offset,
      sizeBytes: size,
      onProgress: (received) => {
        one.doneBytes = () => received;
      },
    });
  }

  /** Frees what no operation needs any longer. @returns how many files. */
  sweep(isNeeded: (sha256: string) => boolean): Promise<number> {
    return this.#options.files.sweep(isNeeded, new Date(this.#options.clock().getTime() - UNUSED_KEPT_MS));
  }

  async #needContent({ file }: PushTask): Promise<void> {
    const found = await this.#options.files.stat(file.sha256);
    if (found?.sizeBytes !== file.sizeBytes)
      throw new AppError('REFERENCE_MISSING', {
        message: `The server has no file with sha256 ${file.sha256}.`,
        hint: 'Send it to /api/v1/uploads first.',
      });
    await this.#options.files.touch(file.sha256);
  }

  /** An agent that knows files only says that it does not know the command (R25 of the device protocol), and changes nothing. */
  async #pushFolder(work: DeviceWork<'push-folder'>): Promise<DeviceOutcome> {
    try {
      return await this.#push(work);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'INPUT_INVALID') throw error;
      const message = `The agent of device "${work.device}" is too old for folders; with a newer one it takes them.`;
      throw new AppError('INPUT_INVALID', { message }, { cause: error });
    }
  }

  async #push(work: PushWork): Promise<DeviceOutcome> {
    const { device, operation, task } = work;
    const { file, ...rest } = task;
    const underway = { device, operation: operation.metadata.name, sha256: file.sha256, totalBytes: file.sizeBytes, doneBytes: () => 0 };
    const { sha256, sizeBytes } = file;
    const { changed } = await this.#watch(work, underway, () =>
      this.#ask(work, { ...rest, operation: underway.operation, file: { sha256, sizeBytes } }),
    );
    work.progress({ doneBytes: sizeBytes, totalBytes: sizeBytes });
    return { changed };
  }

  async #pull(work: DeviceWork<'pull'>): Promise<DeviceOutcome> {
    const { device, operation, task } = work;
    const underway: Underway = { device, operation: operation.metadata.name, totalBytes: 0, doneBytes: () => 0 };
    const key = pullKey(device, underway.operation);
    for (let tries = 1; ; tries += 1) {
      const answer = await this.#watch(work, underway, () => this.#ask(work, { ...task, operation: underway.operation }));
      const { sha256, sizeBytes, folder } = answer;
      const file = { sha256, sizeBytes, name: basename(task.path).slice(0, 255), ...(folder === true ? { folder } : {}) };
      if (task.check === true) return { file, changed: false };
      try {
        await this.#options.files.finish(key, { sha256, sizeBytes });
      } catch (error) {
        if (tries >= MAX_PULLS || !(error instanceof AppError) || error.code !== 'DIGEST_MISMATCH') throw error;
        continue; // the file has changed meanwhile
      }
      work.progress({ doneBytes: sizeBytes, totalBytes: sizeBytes });
      return { file, changed: false };
    }
  }

  /** Tells how far it is while it goes on. */
  async #watch(work: Work, underway: Underway, transfer: () => Promise<TransferResult>): Promise<TransferResult> {
    this.#underway.add(underway);
    const timer = setInterval(() => {
      const doneBytes = Math.min(underway.doneBytes(), underway.totalBytes);
      if (doneBytes > 0) work.progress({ doneBytes, totalBytes: underway.totalBytes });
    }, PROGRESS_MS);
    try {
      return await transfer();
    } finally {
      clearInterval(timer);
      this.#underway.delete(underway);
    }
  }

  async #ask(work: Work, body: Extract<CommandBody, { type: 'push' | 'push-folder' | 'pull' }>): Promise<TransferResult> {
    const { device, operation, signal } = work;
    const { commands, files } = this.#options;
    try {
      const outcome = await commands.ask(device, body, { timeoutMs: ANSWER_MS, signal });
      if (!('transfer' in outcome)) throw unexpectedReply(device);
      return outcome.transfer;
    } catch (error) {
      if (signal.aborted && signal.reason instanceof AppError && signal.reason.code === 'CANCELLED') {
        const { name } = operation.metadata;
        await commands.ask(device, { type: 'cancel', operation: name }, { timeoutMs: CANCEL_MS }).catch(() => undefined); // it ends with the device's next failure
        if (body.type === 'pull') await files.discard(pullKey(device, name));
      }
      throw error;
    }
  }

  #sender(device: string, operation: string): Underway {
    const found = [...this.#underway].find((one) => one.device === device && one.operation === operation && one.sha256 === undefined);
    if (found !== undefined) return found;
    throw new AppError('NOT_FOUND', { message: 'Nothing is wanted of this device for such an operation.' });
  }

  #refuseTooLarge(size: number): void {
    const { maxBytes } = this.#options;
    if (size > maxBytes) throw new AppError('PAYLOAD_TOO_LARGE', { message: `A file may have ${maxBytes} bytes; this one has ${size}.` });
  }
}

function uploadKey(sha256: string): string {
  return `upload ${sha256}`;
}

function pullKey(device: string, operation: string): string {
  return `pull ${operation} ${device}`;
}

/** Of a file's stream: what was read of it so far. */
function bytesRead(content: Readable): number {
  return 'bytesRead' in content && typeof content.bytesRead === 'number' ? content.bytesRead : 0;
}
