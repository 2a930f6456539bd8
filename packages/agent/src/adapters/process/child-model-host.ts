import { spawn } from 'node:child_process';
import { EXIT_WITH_PARENT_ENV, type Logger } from '@selvedge/runtime';
import type { ModelHost, ModelProcess } from '../../ports/model-process.ts';
import { ChildModelProcess, DEFAULT_LIVENESS, type LivenessLimits } from './child-model-process.ts';

export interface ChildModelHostOptions {
  /** Program and first arguments of the model server. */
  command: readonly string[];
  limits?: Partial<LivenessLimits>;
  log: Logger;
}

/** Starts model servers as child processes that end with us, however we end: their stdin and IPC channel close. */
export class ChildModelHost implements ModelHost {
  readonly #options: ChildModelHostOptions;

  constructor(options: ChildModelHostOptions) {
    this.#options = options;
  }

  async start(name: string, folder: string, signal: AbortSignal): Promise<ModelProcess> {
    const { command, limits, log } = this.#options;
    const [program = process.execPath, ...args] = command;
    const child = spawn(program, [...args, '--package', folder, '--port', '0'], {
      // A model server allocates large tensors all the time: the agent's thrifty malloc would slow it down.
      env: { ...process.env, MALLOC_TRIM_THRESHOLD_: undefined, [EXIT_WITH_PARENT_ENV]: '1' },
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
