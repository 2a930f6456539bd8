import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppError } from '@selvedge/contract';
import { EXIT_WITH_PARENT_ENV } from '@selvedge/runtime';
import { findToolFile, type ToolInstallation, toolCommandOf, toolTestCommand } from '@selvedge/runtime/project';
import { type CheckResult, type ToolVerification, verifyTool } from '@selvedge/runtime/tool-conformance';
import type { Io } from '../io.ts';

/** The file of a tool's folder. @throws AppError FILE_UNREADABLE (user) */
export function toolFileIn(folder: string): string {
  try {
    return findToolFile(folder);
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${cause instanceof Error ? cause.message : String(cause)}.` }, { cause });
  }
}

/** Starts a tool as the server does, on a folder that is removed again, and checks it. */
export async function verifyFolder(
  file: string,
  installation: ToolInstallation,
  io: Io,
  onCheck: (check: CheckResult) => void,
): Promise<ToolVerification> {
  const dataDir = await mkdtemp(join(tmpdir(), 'selvedge-tool-test-'));
  const { command, env } = toolCommandOf({ name: 'tested', kind: 'process', file }, dataDir, installation);
  const token = randomBytes(24).toString('hex');
  const child = spawn(command[0] ?? '', command.slice(1), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...io.env, ...env, SELVEDGE_TOOL_TOKEN: token, [EXIT_WITH_PARENT_ENV]: '1' },
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4096);
  });
  try {
    const line = once(createInterface({ input: child.stdout }), 'line', { signal: io.signal }).then(([text]) => String(text));
    const first = await Promise.race([line, ended.then(() => undefined)]);
    if (first === undefined) throw new AppError('STEP_FAILED', { message: `${file} did not start.\n${said.trim()}` });
    const { port } = JSON.parse(first) as { port: number };
    return await verifyTool({ url: `http://127.0.0.1:${port}`, token, signal: io.signal, onCheck });
  } finally {
    child.kill();
    await ended;
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Runs the author's own tests beside the tool; returns their exit code, or undefined when there are none. */
export async function runOwnTests(file: string, installation: ToolInstallation, io: Io): Promise<number | undefined> {
  const own = toolTestCommand(file, await readdir(dirname(file)), installation);
  const [program, ...args] = own?.command ?? [];
  if (own === undefined || program === undefined) return undefined;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...io.env, ...own.env } });
  // Results of tests are remarks here: what this command gives are the checks.
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => io.stderr.write(chunk));
  const [code] = await once(child, 'close');
  return typeof code === 'number' ? code : 1;
}
