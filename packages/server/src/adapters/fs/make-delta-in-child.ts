import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { AppError, openedPackageSchema } from '@selvedge/contract';
import { EXIT_WITH_PARENT_ENV, timeoutSignal } from '@selvedge/runtime';
import { openedNames } from '@selvedge/runtime/package';
import * as z from 'zod';
import type { MadeDelta, MakeDelta } from './fs-delta-store.ts';

const TIME_LIMIT_MS = 10 * 60_000;
const MAX_OUTPUT = 4096;
const answerSchema = z.object({ sizeBytes: z.int().min(0).nullable(), opened: openedPackageSchema.optional() });

/**
 * Makes patches in a process for each, with little priority: nobody waits for it who could not do without.
 *
 * @param command - starts `delta-maker`.
 * @param blobPath - where a blob is as a file.
 */
export function makeDeltaInChild(command: readonly string[], blobPath: (sha256: string) => string): MakeDelta {
  return async ({ base, target, path, maxBytes, kind, signal }) => {
    try {
      return await run(command, [blobPath(base), blobPath(target), path, String(maxBytes), kind], signal);
    } finally {
      // a child removes what it opened, but not one that was ended
      if (kind === 'package') for (const name of openedNames(path)) await rm(name, { force: true });
    }
  };
}

async function run(command: readonly string[], given: readonly string[], signal: AbortSignal): Promise<MadeDelta | undefined> {
  const [program = '', ...args] = command;
  const child = spawn(program, [...args, ...given], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, [EXIT_WITH_PARENT_ENV]: '1' },
    signal: timeoutSignal(TIME_LIMIT_MS, signal),
    killSignal: 'SIGKILL', // it is in the middle of a computation and would not hear of anything else
  });
  let output = '';
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-MAX_OUTPUT);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('utf8')).slice(-MAX_OUTPUT);
  });
  child.stdin.on('error', () => undefined);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
    if (child.pid !== undefined) lowerPriority(child.pid);
  });
  if (code !== 0) throw new AppError('INTERNAL', { message: `delta-maker ended with ${code ?? 'a signal'}: ${complaint.trim()}` });
  const { sizeBytes, opened } = answerSchema.parse(JSON.parse(output));
  return sizeBytes === null ? undefined : { sizeBytes, ...(opened === undefined ? {} : { opened }) };
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // it has ended already
  }
}
