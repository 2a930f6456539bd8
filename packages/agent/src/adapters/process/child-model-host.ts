import { EXIT_WITH_PARENT_ENV, type Logger } from '@selvedge/runtime';
import type { ModelHost, ModelProcess } from '../../ports/model-process.ts';
import { ChildModelProcess, DEFAULT_LIVENESS, type LivenessLimits } from './child-model-process.ts';

export interface ChildModelHostOptions {
  /** Program and first arguments of the model server. */
  command: readonly string[];
  limits?: Partial<LivenessLimits>;
  log: Logger;
}

/** A model server allocates large tensors all the time: the agent's thrifty malloc would slow it down. */
const OWN_MALLOC = { MALLOC_TRIM_THRESHOLD_: undefined, MALLOC_TOP_PAD_: undefined, MALLOC_MMAP_THRESHOLD_: undefined };

/** Starts model servers as child processes that end with us, however we end: their stdin and IPC channel close. */
export class ChildModelHost implements ModelHost {
  readonly #options: ChildModelHostOptions;

  constructor(options: ChildModelHostOptions) {
    this.#options = options;
  }

  async start(name: string, folder: string, signal: AbortSignal): Promise<ModelProcess> {
    const { command, limits, log } = this.#options;
    const [program = process.execPath, ...args] = command;
    // Loaded with the first model server only: an agent that serves nothing does without.
    const { spawn } = await import('node:child_process');
    signal.throwIfAborted();
    const child = spawn(program, [...args, '--package', folder, '--port', '0'], {
      env: { ...process.env, ...OWN_MALLOC, [EXIT_WITH_PARENT_ENV]: '1' },
      // Its log lines go straight to our stderr; passing them through would cost us memory and time.
      stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
    });
    const started = new ChildModelProcess(child, name, { ...DEFAULT_LIVENESS, ...limits }, log);
    try {
      await started.listening(signal);
    } catch (error) {
      await started.stop(0);
      throw error;
    }
    return started;
  }
}
