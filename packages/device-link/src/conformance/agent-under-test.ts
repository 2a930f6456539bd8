import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { signalProcessGroup } from '@selvedge/runtime';

/** How the agent is called; `{server}`, `{token}` and `{data}` in a word are replaced. */
export interface AgentCommands {
  /** Joins and ends; without it `run` joins by itself when its folder holds no identity. */
  readonly join?: readonly string[] | undefined;
  readonly run: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

const MAX_LOG_CHARS = 64 * 1024;
const STOP_GRACE_MS = 5000;

/** One process of the agent, in a process group of its own. */
export class AgentProcess {
  readonly #child: ChildProcess;
  /** The end of what it has written. */
  log = '';
  /** The exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  isRunning = true;

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.log = (this.log + chunk.toString()).slice(-MAX_LOG_CHARS);
      });
    this.ended = new Promise((resolve) => {
      child.on('exit', (code) => {
        this.isRunning = false;
        resolve(code);
      });
      child.on('error', (error) => {
        this.log += error.message;
        this.isRunning = false;
        resolve(null);
      });
    });
  }

  /** Asks it to end; then does not ask any more. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.#signal('SIGTERM');
    const timer = setTimeout(() => this.#signal('SIGKILL'), STOP_GRACE_MS);
    await this.ended;
    clearTimeout(timer);
    this.#signal('SIGKILL');
  }

  /** As a power cut ends it, with everything that it has started. */
  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.ended;
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid !== undefined) signalProcessGroup(pid, signal);
  }
}

/** Starts processes of the agent, each in a data folder that the check names, and ends them all at the end. */
export class AgentUnderTest {
  readonly #commands: AgentCommands;
  readonly #server: string;
  readonly #processes: AgentProcess[] = [];
  #root: string | undefined;

  constructor(commands: AgentCommands, server: string) {
    this.#commands = commands;
    this.#server = server;
  }

  get joinsByItself(): boolean {
    return this.#commands.join === undefined;
  }

  /** @param folder - name of a data folder; the same one goes on with what an earlier process left. */
  async join(folder: string, token: string): Promise<AgentProcess> {
    return this.#start(this.#commands.join ?? this.#commands.run, folder, token);
  }

  async run(folder: string, token: string): Promise<AgentProcess> {
    return this.#start(this.#commands.run, folder, token);
  }

  async end(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.kill()));
    if (this.#root !== undefined) await rm(this.#root, { recursive: true, force: true });
  }

  /** Words that the last process wrote, for messages. */
  get lastWords(): string {
    const words = this.#processes.at(-1)?.log.trim().split('\n').at(-1) ?? '';
    return words.slice(0, 300);
  }

  async #start(template: readonly string[], folder: string, token: string): Promise<AgentProcess> {
    this.#root ??= await mkdtemp(join(tmpdir(), 'selvedge-verify-'));
    const values: Record<string, string> = { server: this.#server, token, data: join(this.#root, folder) };
    const [program, ...args] = template.map((word) => word.replace(/\{(server|token|data)\}/g, (_, name: string) => values[name] ?? ''));
    if (program === undefined) throw new AppError('USAGE', { message: 'There is no command to run the agent with.' });
    const env = { ...(this.#commands.env ?? process.env) };
    const started = new AgentProcess(spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env }));
    this.#processes.push(started);
    return started;
  }
}
