import { AppError, type Operation, type OperationDevice, type OperationTask, toAppError } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { isSettledState, type OperationSituation, overallState, planOperation } from '../domain/operation-plan.ts';
import type { Store } from '../ports/store.ts';
import { draftOf } from './draft-of.ts';
import type { AnyOperationHandler, DeviceOutcome, DeviceWork } from './operation-handler.ts';

export interface OperationDriverOptions {
  store: Store;
  operation: Operation;
  handler: AnyOperationHandler;
  situation: () => OperationSituation;
  log: Logger;
  clock: () => Date;
}

/** Between two writes that only tell of progress. */
const PROGRESS_MS = 1000;
/** Of what all devices of an operation wrote; each may have its share, and its own bound at most. */
const MAX_OUTPUT_CHARACTERS = 4 * 1024 * 1024;
const MAX_DEVICE_OUTPUT_CHARACTERS = 65_536;
const MIN_DEVICE_OUTPUT_CHARACTERS = 256;
const MAX_TIMER_MS = 86_400_000;

/**
 * Drives one operation to its end.
 *
 * Invariants: this is the only writer of the operation's status; a device is stored as running before anything is sent to it.
 */
export class OperationDriver {
  readonly #options: OperationDriverOptions;
  readonly #devices: Map<string, OperationDevice>;
  readonly #begunBefore = new Set<string>();
  readonly #running = new Map<string, { control: AbortController; done: Promise<void> }>();
  #cancelledBy: string | null;
  #startedAt: string | null;
  #wakeTimer: NodeJS.Timeout | undefined;
  #progressTimer: NodeJS.Timeout | undefined;
  #saving: Promise<void> | undefined;
  #saveNext: Promise<void> | undefined;
  #stopped = false;
  readonly #ended: Promise<void>;
  #resolveEnded: () => void = () => undefined;

  constructor(options: OperationDriverOptions) {
    this.#options = options;
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const { status } = options.operation;
    this.#cancelledBy = status.cancelledBy;
    this.#startedAt = status.startedAt;
    this.#devices = new Map(status.devices.map((one) => [one.device, one]));
    for (const one of status.devices) {
      if (one.startedAt !== null) this.#begunBefore.add(one.device);
      if (one.state === 'running') this.#devices.set(one.device, { ...one, state: 'waiting' });
    }
  }

  /** Resolves when nothing is left to do and that is stored, or after `stop`. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  concerns(device: string): boolean {
    return this.#devices.get(device)?.state === 'waiting';
  }

  /** Looks what is to be done now: after a start, when a device has connected, when one has ended. */
  wake(): void {
    if (this.#stopped) return;
    clearTimeout(this.#wakeTimer);
    if (this.#cancelledBy !== null) this.#cancelWaiting();
    const { steps, wakeAtMs } = planOperation(this.#options.operation.spec, this.#devices.values(), this.#options.situation());
    for (const step of steps) {
      if (step.type === 'begin') this.#begin(step.device);
      else this.#settle(step.device, { error: { code: step.code, message: step.message } });
    }
    if (wakeAtMs !== null) {
      const inMs = Math.min(Math.max(wakeAtMs - this.#options.clock().getTime(), 1), MAX_TIMER_MS);
      this.#wakeTimer = setTimeout(() => this.wake(), inMs);
      this.#wakeTimer.unref();
    }
    if ([...this.#devices.values()].every(({ state }) => isSettledState(state))) void this.#end();
    else if (steps.some(({ type }) => type === 'fail')) this.#saveSoon();
  }

  /** Ends it where it has not ended; resolves when that is stored. */
  async cancel(by: string): Promise<void> {
    this.#cancelledBy ??= by;
    await this.#save();
    for (const { control } of this.#running.values()) control.abort(new AppError('CANCELLED', { message: `Cancelled by ${by}.` }));
    this.wake();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    await this.#save();
  }

  /** Gives up for this time; devices that have begun stay stored as running. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#wakeTimer);
    clearTimeout(this.#progressTimer);
    for (const { control } of this.#running.values()) control.abort(new AppError('INTERRUPTED', { message: 'The server stops.' }));
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    await this.#saving?.catch(() => undefined); // was logged
    this.#resolveEnded();
  }

  #begin(device: string): void {
    const one = this.#devices.get(device);
    if (one === undefined) return;
    const startedAt = one.startedAt ?? this.#now();
    this.#startedAt ??= startedAt;
    this.#devices.set(device, { ...one, state: 'running', startedAt });
    const control = new AbortController();
    const done = this.#run(device, control.signal).finally(() => {
      this.#running.delete(device);
      this.wake();
    });
    this.#running.set(device, { control, done });
  }

  async #run(device: string, signal: AbortSignal): Promise<void> {
    const { handler, operation, log } = this.#options;
    const resumed = this.#begunBefore.has(device);
    this.#begunBefore.add(device);
    try {
      await this.#save();
      signal.throwIfAborted();
      const change = (part: Partial<OperationDevice>) => this.#change(device, part);
      const work: DeviceWork<OperationTask['type']> = {
        device,
        operation,
        task: operation.spec.task,
        resumed,
        progress: (progress) => change({ progress }),
        output: (text) => change({ output: this.#cut(text) }),
        signal,
      };
      this.#settle(device, await handler.run(work));
    } catch (thrown) {
      if (this.#stopped) return;
      const error = toAppError(signal.aborted ? signal.reason : thrown);
      const mayWait = operation.spec.wait && handler.waitsForDevices;
      if (mayWait && (error.code === 'DEVICE_OFFLINE' || error.code === 'DEVICE_TIMEOUT')) {
        const one = this.#devices.get(device);
        if (one !== undefined) this.#devices.set(device, { ...one, state: 'waiting' });
        return;
      }
      if (error.kind === 'bug') log.error('an operation failed', { operation: operation.metadata.name, device, ...describeError(thrown) });
      this.#settle(device, { error: { code: error.code, message: error.message.slice(0, 4096) } });
    }
    this.#saveSoon();
  }

  #settle(device: string, { error = null, output, ...outcome }: DeviceOutcome): void {
    const one = this.#devices.get(device);
    if (one === undefined || isSettledState(one.state)) return;
    const state = error === null ? 'succeeded' : error.code === 'CANCELLED' ? 'cancelled' : 'failed';
    const written = output === undefined ? {} : { output: this.#cut(output) };
    this.#devices.set(device, { ...one, ...outcome, ...written, error, state, finishedAt: this.#now() });
  }

  #cancelWaiting(): void {
    const error = { code: 'CANCELLED', message: `Cancelled by ${this.#cancelledBy}.` };
    for (const { device, state } of [...this.#devices.values()]) if (state === 'waiting') this.#settle(device, { error });
  }

  #change(device: string, part: Partial<OperationDevice>): void {
    const one = this.#devices.get(device);
    if (one?.state !== 'running') return;
    this.#devices.set(device, { ...one, ...part });
    this.#saveSoon();
  }

  #cut(text: string): string {
    const share = Math.floor(MAX_OUTPUT_CHARACTERS / this.#devices.size);
    return text.slice(0, Math.max(MIN_DEVICE_OUTPUT_CHARACTERS, Math.min(MAX_DEVICE_OUTPUT_CHARACTERS, share)));
  }

  async #end(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#wakeTimer);
    clearTimeout(this.#progressTimer);
    try {
      await this.#save();
    } catch {
      // was logged; the next start of the server finds the operation unfinished and asks its devices again
    }
    this.#resolveEnded();
  }

  #saveSoon(): void {
    if (this.#stopped) return;
    this.#progressTimer ??= setTimeout(() => {
      this.#progressTimer = undefined;
      void this.#save().catch(() => undefined); // was logged
    }, PROGRESS_MS);
    this.#progressTimer.unref();
  }

  /** Stores how it stands. Calls while a write is under way share the next one. */
  #save(): Promise<void> {
    if (this.#saving === undefined) {
      this.#saving = this.#write().finally(() => {
        this.#saving = undefined;
      });
      return this.#saving;
    }
    this.#saveNext ??= this.#saving
      .catch(() => undefined) // its own callers know
      .then(() => {
        this.#saveNext = undefined;
        return this.#save();
      });
    return this.#saveNext;
  }

  async #write(): Promise<void> {
    const { store, operation, log } = this.#options;
    const { name, uid } = operation.metadata;
    const devices = [...this.#devices.values()];
    const state = overallState(devices);
    const finishedAt = isSettledState(state) ? this.#now() : null;
    const status = { state, startedAt: this.#startedAt, finishedAt, cancelledBy: this.#cancelledBy, devices };
    try {
      await store.update('Operation', name, (current) => (current.metadata.uid === uid ? draftOf(current, { status }) : undefined));
    } catch (error) {
      log.error('the status of an operation could not be written', { operation: name, ...describeError(error) });
      throw error;
    }
  }

  #now(): string {
    return this.#options.clock().toISOString();
  }
}
