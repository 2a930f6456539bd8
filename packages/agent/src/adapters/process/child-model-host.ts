import { EXIT_WITH_PARENT_ENV, type Logger } from '@selvedge/runtime';
import type { LivenessLimits, ModelHost, ModelProcess } from '../../ports/model-process.ts';
import { ChildModelProcess, DEFAULT_LIVENESS } from './child-model-process.ts';
import { emulatorEnv } from './emulator-env.ts';
import type { ResourceLimits } from './resource-limits.ts';
import { splitLines } from './split-lines.ts';

export interface ChildModelHostOptions {
  /** Program and first arguments of the model server. */
  command: readonly string[];
  /** Program that runs the executables of native packages; undefined: the kernel. */
  emulator?: string | undefined;
  /** Name of the device: control groups are told apart by it, as several agents may share a machine. */
  device: string;
  /** As they are when a process starts. */
  resources: () => ResourceLimits;
  limits?: Partial<LivenessLimits>;
  /** Takes each line that a workload writes on stdout or stderr. */
  onLine: (workload: string, line: string) => void;
  log: Logger;
}

/** A model server allocates large tensors all the time: what keeps the agent small would slow it down. */
const UNTHRIFTY = {
  MALLOC_TRIM_THRESHOLD_: undefined,
  MALLOC_TOP_PAD_: undefined,
  MALLOC_MMAP_THRESHOLD_: undefined,
  UV_THREADPOOL_SIZE: undefined,
};

/**
 * Starts model servers and native packages as child processes that end with us, however we end: their stdin and IPC channel
 * close. Both speak the same protocol, and both are held to the resource limits.
 */
export class ChildModelHost implements ModelHost {
  readonly #options: ChildModelHostOptions;

  constructor(options: ChildModelHostOptions) {
    this.#options = options;
  }

  async start(what: { name: string; folder: string; isNative: boolean }, signal: AbortSignal): Promise<ModelProcess> {
    const { limits, log, device, onLine } = this.#options;
    const resources = this.#options.resources();
    // Loaded with the first workload only: an agent that serves nothing does without.
    const { spawn } = await import('node:child_process');
    const { makeControlGroup, withRlimits } = await import('./resource-limits.ts');
    const group = await makeControlGroup(`${device}.${what.name}`, resources);
    const command = this.#command(what.folder, what.isNative);
    // V8 and emulators reserve far more address space than they use, so for them there is no other limit.
    const limited = group === undefined && what.isNative && this.#options.emulator === undefined;
    const [program = '', ...args] = limited ? withRlimits(command, resources) : command;
    signal.throwIfAborted();
    const child = spawn(program, args, {
      env: { ...process.env, ...UNTHRIFTY, ...emulatorEnv(this.#options.emulator), [EXIT_WITH_PARENT_ENV]: '1' },
      stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    });
    // The name is that of the workload and the key of its version.
    const [workload = what.name] = what.name.split(' ', 1);
    child.stderr?.on('data', (chunk: Buffer) => void process.stderr.write(chunk));
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) splitLines(stream, (line) => onLine(workload, line));
    child.on('spawn', () => onLine(workload, `== ${what.name}: process ${child.pid} started`));
    child.on('exit', (code, how) => onLine(workload, `== ${what.name}: process ${child.pid} ended: ${how ?? `exit code ${code}`}`));
    const started = new ChildModelProcess(child, what.name, { ...DEFAULT_LIVENESS, ...limits }, log);
    const failed = (error: unknown) =>
      log.warn('a control group could not be used', { workload: what.name, error: error instanceof Error ? error.message : String(error) });
    if (group !== undefined) {
      if (child.pid !== undefined) await group.add(child.pid).catch(failed);
      void started.exited.then(() => group.remove()).catch(failed);
    }
    await started.listening(signal);
    return started;
  }

  #command(folder: string, isNative: boolean): string[] {
    const { command, emulator } = this.#options;
    if (!isNative) return [...(command.length === 0 ? [process.execPath] : command), '--package', folder, '--port', '0'];
    return [...(emulator === undefined ? [] : [emulator]), `${folder}/run`, '--serve', '127.0.0.1:0', '--agent-channel'];
  }
}
