import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AppError } from '@selvedge/contract';
import { createLogger, exitWithParent, systemErrorCode } from '@selvedge/runtime';
import * as z from 'zod';
import { listFilePaths, serveTool, type Tool } from './kit/index.ts';

export const ENVIRONMENT = `environment: SELVEDGE_TOOL_TOKEN, or SELVEDGE_TOOL_TOKEN_FILE with a file that holds it (one is required)
             SELVEDGE_TRUSTED_ORIGINS (comma-separated)`;

const portSchema = z.coerce.number().int().min(0).max(65_535);

export interface CommandLine {
  /** The one word that is no flag. */
  subject: string;
  dataDir: string;
  port: number;
  host: string;
}

/** @throws AppError USAGE (user) */
export function readCommandLine(args: string[], usage: string): CommandLine {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        data: { type: 'string' },
        port: { type: 'string', default: '0' },
        host: { type: 'string', default: '127.0.0.1' },
      },
    });
    const [subject] = positionals;
    if (subject === undefined || positionals.length !== 1) throw new Error('name one tool');
    if (values.data === undefined) throw new Error('--data is missing');
    return { subject, dataDir: values.data, port: portSchema.parse(values.port), host: values.host };
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? '--port must be 0 to 65535' : cause instanceof Error ? cause.message : String(cause);
    throw new AppError('USAGE', { message: `${reason}\n${usage}` }, { cause });
  }
}

/**
 * Takes the token out of the environment, so that neither a child process nor a dump of it shows it.
 *
 * @throws AppError USAGE, FILE_UNREADABLE (user)
 */
export async function takeToken(): Promise<string> {
  const { SELVEDGE_TOOL_TOKEN: token, SELVEDGE_TOOL_TOKEN_FILE: file } = process.env;
  delete process.env.SELVEDGE_TOOL_TOKEN;
  if (token !== undefined && token !== '') return token;
  if (file === undefined || file === '') throw new AppError('USAGE', { message: 'SELVEDGE_TOOL_TOKEN is not set.' });
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `The token file ${file} could not be read (${systemErrorCode(cause)}).` }, { cause });
  }
}

/** sha256 over the code of a folder: every source file, or bundle, tests and what others wrote left out. */
export async function digestCode(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const path of await listFilePaths(folder)) {
    if (!/\.(ts|js|mjs|py)$/.test(path) || path.endsWith('.test.ts') || path.startsWith('node_modules/')) continue;
    hash.update(`${path}\0`).update(await readFile(join(folder, path)));
  }
  return hash.digest('hex');
}

export interface ServeMainOptions {
  readonly commandLine: CommandLine;
  readonly token: string;
  readonly version: string;
  readonly codeDigest: string;
  readonly jobCommand?: readonly string[];
  readonly signal: AbortSignal;
}

/** Serves a tool until the signal, or the end of the parent; says on stdout where it listens. */
export async function serveMain(tool: Tool, options: ServeMainOptions): Promise<void> {
  const { commandLine, token, version, codeDigest, jobCommand, signal } = options;
  const { dataDir, port, host } = commandLine;
  const ended = new AbortController();
  exitWithParent(() => ended.abort());
  const end = AbortSignal.any([signal, ended.signal]);
  const served = await serveTool(tool, {
    ...{ dataDir, port, host, token, version, codeDigest },
    trustedOrigins: (process.env.SELVEDGE_TRUSTED_ORIGINS ?? '').split(',').filter((origin) => origin !== ''),
    ...(jobCommand === undefined ? {} : { jobCommand }),
    logger: createLogger({ name: `tool-${tool.name}` }),
    signal: end,
  });
  process.stdout.write(`${JSON.stringify({ event: 'listening', port: served.port })}\n`);
  await new Promise<void>((resolve) => {
    if (end.aborted) resolve();
    end.addEventListener('abort', () => resolve(), { once: true });
  });
  await served.stop();
}
