import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { AppError, fromProblem, problemSchema, type ServerReady, serverReadySchema } from '@selvedge/contract';

import type { DevicePlatform } from './device-platform.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLI = join(ROOT, 'packages/cli/bin/selvedge.mjs');
const AGENT = join(ROOT, 'packages/agent/bin/selvedge-agent');

/** Children end when their stdin closes, so that none outlives the demo, however it ends. */
const CHILD_ENV = { SELVEDGE_EXIT_WITH_PARENT: '1' };

/** Everything the demo has started, so that it can be stopped again, last first. */
export class Processes {
  readonly #children: ChildProcess[] = [];

  async #spawn(command: string, args: readonly string[], logFile: string, env: Record<string, string> = {}): Promise<ChildProcess> {
    await mkdir(dirname(logFile), { recursive: true });
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...CHILD_ENV, ...env },
      detached: true,
    });
    child.stderr?.pipe(createWriteStream(logFile, { flags: 'a' }));
    this.#children.push(child);
    return child;
  }

  /** Resolves when the server says that it is ready. */
  async startServer(options: {
    dataDir: string;
    port: number;
    devicePort: number;
    logFile: string;
    targetsDir: string;
  }): Promise<ServerReady> {
    const args = [
      CLI,
      'up',
      '-o',
      'json',
      '--data',
      options.dataDir,
      '--port',
      String(options.port),
      '--device-port',
      String(options.devicePort),
    ];
    const child = await this.#spawn(process.execPath, args, options.logFile, { SELVEDGE_TARGETS_DIR: options.targetsDir });
    let errorText = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      errorText = (errorText + chunk.toString()).slice(-16_384);
    });
    const exited = once(child, 'exit');
    if (child.stdout === null) throw new AppError('INTERNAL', { message: 'The server has no standard output.' });
    for await (const line of createInterface({ input: child.stdout })) {
      const ready = serverReadySchema.safeParse(parseJson(line));
      if (ready.success) {
        child.stdout.resume();
        return ready.data;
      }
    }
    await exited;
    throw (
      problemIn(errorText) ??
      new AppError('SETUP_INCOMPLETE', { message: 'The server ended before it was ready.', hint: `See ${options.logFile}.` })
    );
  }

  async startAgent(options: { dir: string; logFile: string; platform: DevicePlatform | undefined }): Promise<ChildProcess> {
    const { target, emulator } = options.platform ?? {};
    const emulated = target === undefined || emulator === undefined ? [] : ['--target', target, '--emulator', emulator];
    const child = await this.#spawn(AGENT, ['run', '--dir', options.dir, ...emulated], options.logFile);
    child.stdout?.resume();
    return child;
  }

  /** Stops all, last first, politely and then not. */
  async stopAll(): Promise<void> {
    for (const child of this.#children.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 8000);
      await gone;
      clearTimeout(killer);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a line that is not JSON is not the one we look for
  }
}

/** The CLI prints errors as problem JSON on stderr with `-o json`. */
function problemIn(text: string): AppError | undefined {
  for (const line of [text, ...text.split('\n')]) {
    const problem = problemSchema.safeParse(parseJson(line.trim()));
    if (problem.success) return fromProblem(problem.data);
  }
  return undefined;
}

/** Runs `selvedge ARGS -o json` as a user would and returns what it printed. Throws the error it reported. */
export async function selvedge(
  args: readonly string[],
  context: { dataDir: string; signal: AbortSignal; onLine?: (line: string) => void },
): Promise<unknown> {
  const child = spawn(process.execPath, [CLI, ...args, '-o', 'json'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SELVEDGE_DATA: context.dataDir },
    signal: context.signal,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  createInterface({ input: child.stderr }).on('line', (line) => context.onLine?.(line));
  const [code] = await once(child, 'close');
  if (code !== 0)
    throw (
      problemIn(stderr) ??
      new AppError('STEP_FAILED', {
        message: `"selvedge ${args.join(' ')}" failed with exit code ${String(code)}: ${stderr.trim().slice(-2000)}`,
      })
    );
  return stdout.trim() === '' ? undefined : JSON.parse(stdout);
}
