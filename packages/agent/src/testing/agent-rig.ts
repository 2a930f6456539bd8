import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { readIdentity, type StoredIdentity } from '../adapters/disk/identity-folder.ts';
import { agentCommand } from './agent-command.ts';
import { TestServer } from './test-server.ts';

const [PROGRAM = '', ...PROGRAM_ARGS] = agentCommand();

export function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => (child.exitCode !== null || child.signalCode !== null ? resolve() : child.on('exit', () => resolve())));
}

export function picture(): Promise<Buffer> {
  return sharp({ create: { width: 8, height: 8, channels: 3, background: '#10f020' } })
    .png()
    .toBuffer();
}

export async function inferAt(port: number): Promise<{ version: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/infer`, {
    method: 'POST',
    body: new Uint8Array(await picture()),
    headers: { 'content-type': 'image/png' },
  });
  return (await response.json()) as { version: string };
}

/** Real agents in a folder of their own, and the server that they join. */
export class AgentRig {
  readonly server: TestServer;
  readonly dir: string;
  readonly #agents = new Set<ChildProcess>();
  #log = '';
  #mounted = false;

  private constructor(server: TestServer, dir: string) {
    this.server = server;
    this.dir = dir;
  }

  static async start(): Promise<AgentRig> {
    return new AgentRig(await TestServer.start(), await mkdtemp(join(tmpdir(), 'selvedge-agent-')));
  }

  /** Ends everything. @param failed - prints the end of what the agents logged. */
  async stop(failed: boolean): Promise<void> {
    for (const child of this.#agents) child.kill('SIGKILL');
    await Promise.all([...this.#agents].map(exited));
    await this.server.stop();
    if (this.#mounted) execFileSync('umount', ['--lazy', this.dir]);
    await rm(this.dir, { recursive: true, force: true });
    if (failed) process.stderr.write(this.#log.slice(-6000));
  }

  /** Runs a command to its end. */
  async command(...args: string[]): Promise<{ code: number | null; text: string }> {
    this.#log = '';
    const child = this.#spawn(args);
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, text: this.#log };
  }

  join(): Promise<{ code: number | null; text: string }> {
    return this.command('join', this.server.url, '--token', this.server.token, '--dir', this.dir);
  }

  async identity(): Promise<StoredIdentity> {
    const stored = await readIdentity(this.dir);
    if (stored === undefined) throw new Error('the folder has not joined');
    return stored;
  }

  run(env: Record<string, string> = {}, args: readonly string[] = []): ChildProcess {
    return this.#spawn(['run', '--dir', this.dir, '--log-level', 'debug', ...args], env);
  }

  /** Pids of the model servers that were started for this folder. */
  async modelServers(): Promise<number[]> {
    const pids: number[] = [];
    for (const entry of await readdir('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
      if (line.includes('model-server') && line.includes(this.dir)) pids.push(Number(entry));
    }
    return pids;
  }

  /** Puts the folder on a disk of this size, or changes that. @returns false when only root may. */
  setDiskSize(mebibytes: number): boolean {
    const options = `${this.#mounted ? 'remount,' : ''}size=${mebibytes}m`;
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', this.dir], { stdio: 'ignore' });
    } catch {
      return false;
    }
    this.#mounted = true;
    return true;
  }

  #spawn(args: string[], env: Record<string, string> = {}): ChildProcess {
    const child = spawn(PROGRAM, [...PROGRAM_ARGS, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    child.stdout?.on('data', (chunk) => (this.#log += chunk));
    child.stderr?.on('data', (chunk) => (this.#log += chunk));
    this.#agents.add(child);
    child.on('exit', () => this.#agents.delete(child));
    return child;
  }
}
