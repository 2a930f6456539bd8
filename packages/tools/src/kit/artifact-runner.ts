import { AppError } from '@selvedge/contract';
import { type Artifact, isFinished } from './artifact.ts';
import type { ArtifactStore } from './artifact-store.ts';

export interface RunnerOptions {
  readonly store: ArtifactStore;
  /** Makes one attempt; never rejects. */
  readonly make: (artifact: Artifact, signal: AbortSignal) => Promise<void>;
}

interface Current {
  readonly artifact: Artifact;
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

/**
 * Works through the queue: one artifact at a time, in the order of the requests.
 *
 * Invariants: at most one `make` is under way; after `stop` none is, and none begins.
 */
export class ArtifactRunner {
  readonly #options: RunnerOptions;
  #current: Current | undefined;
  #loop: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #stopped = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Interrupts what is under way, which goes back to the queue, and waits for it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#current?.controller.abort(new AppError('INTERRUPTED', { message: 'The tool is shutting down.' }));
    this.#wake?.();
    await this.#loop;
  }

  /** Looks at the queue again; call after a request was added. */
  wake(): void {
    this.#wake?.();
  }

  get busyWith(): string | null {
    const artifact = this.#current?.artifact;
    return artifact === undefined || isFinished(artifact.status) ? null : artifact.name;
  }

  /** Ends the work on an artifact, or takes it out of the queue; resolves when nothing touches it any more. A finished one stays as it is. */
  async cancel(artifact: Artifact): Promise<void> {
    if (this.#current?.artifact === artifact) {
      this.#current.controller.abort(new AppError('CANCELLED', { message: 'Cancelled.' }));
      await this.#current.done;
      return;
    }
    if (isFinished(artifact.status)) return;
    await artifact.update({ status: 'cancelled', message: 'Cancelled.', finishedAt: new Date().toISOString() });
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const artifact = this.#options.store.nextQueued();
      if (artifact === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const controller = new AbortController();
      const done = this.#options.make(artifact, controller.signal);
      this.#current = { artifact, controller, done };
      await done;
      this.#current = undefined;
    }
  }
}
