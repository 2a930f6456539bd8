import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { AppError, fromProblem, problemSchema } from '@selvedge/contract';
import { ERROR_FORMAT_ENV } from '@selvedge/runtime';
import * as z from 'zod';
import type { GoldenResult } from '../ports/trial-means.ts';
import { ownProgram } from './own-programs.ts';

const ASK_TIMEOUT_MS = 15 * 60_000;
const resultSchema = z.object({ samples: z.int().min(1), accuracy: z.number(), previousAccuracy: z.number().nullable() });

/** How the trial proxy is started. */
export function trialProxyCommand(mainUrl: string): string[] {
  return ownProgram(mainUrl, 'trial-proxy');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the caller says what that means
  }
}

/**
 * Runs `agent golden` as a process of its own.
 *
 * @throws AppError as that command does; INTERNAL when it was killed or took too long.
 */
export function askGoldenInChild(
  mainUrl: string,
  dir: string,
  file: string,
  ports: { port: number; previousPort: number | null },
  signal: AbortSignal,
): Promise<GoldenResult> {
  const previous = ports.previousPort === null ? [] : ['--previous-port', String(ports.previousPort)];
  // The set and what is read of it are in memory several times over; our own small heap would not do.
  const flags = [...process.execArgv, '--max-old-space-size=192'];
  const args = [...flags, fileURLToPath(mainUrl), 'golden', '--dir', dir, '--file', file, '--port', String(ports.port), ...previous];
  const options = { signal, timeout: ASK_TIMEOUT_MS, maxBuffer: 64 * 1024, env: { ...process.env, [ERROR_FORMAT_ENV]: 'json' } };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (signal.aborted) return reject(signal.reason);
      const result = resultSchema.safeParse(parseJson(stdout));
      if (error === null && result.success) return resolve(result.data);
      const problem = problemSchema.safeParse(parseJson(stderr.trim().split('\n').at(-1) ?? ''));
      if (problem.success) return reject(fromProblem(problem.data));
      reject(new AppError('INTERNAL', { message: `The golden set could not be asked: ${(error?.message ?? stdout).slice(0, 500)}` }));
    });
  });
}
