import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { readJsonFile, systemErrorCode } from '@selvedge/runtime';
import * as z from 'zod';
import type { Io } from './io.ts';
import type { GlobalOptions, OutputFormat } from './options.ts';

const DEFAULT_SERVER = 'http://127.0.0.1:7070';

/** What a server leaves in its data folder for the command line; further fields are its own. */
const serverFileSchema = z.object({ url: z.url({ protocol: /^https?$/ }) });

export interface Settings {
  /** Origin and path prefix of the server, without a slash at the end. */
  readonly serverUrl: string;
  readonly token: string | undefined;
  /** Absolute. */
  readonly dataDir: string;
  readonly output: OutputFormat;
  readonly color: boolean;
  readonly quiet: boolean;
}

/** The data folder: --data, then SELVEDGE_DATA, then `.selvedge` in the current folder. */
export function dataDirOf(options: GlobalOptions, io: Io): string {
  const given = options.data ?? (io.env.SELVEDGE_DATA || '.selvedge');
  return isAbsolute(given) ? given : join(io.cwd, given);
}

function checkUrl(text: string, from: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    url = undefined; // reported below together with URLs of another scheme
  }
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw new AppError('USAGE', { message: `${from} is not an http(s) URL: ${text}`, hint: `Give it like ${DEFAULT_SERVER}.` });
  return text.replace(/\/+$/, '');
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

async function readTokenFile(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new AppError(
      'FILE_UNREADABLE',
      { message: `The token file ${path} could not be read (${code ?? 'unknown'}).` },
      { cause: error },
    );
  }
}

/**
 * Settings of one call, from options, environment, data folder and defaults, in this order.
 *
 * The data folder's admin token goes only to the server of that folder or to this machine: it must not leak to another
 * server that `--server` names.
 *
 * @throws AppError USAGE for a URL that is none; FILE_UNREADABLE, INPUT_INVALID for a damaged data folder.
 */
export async function resolveSettings(options: GlobalOptions, io: Io): Promise<Settings> {
  const dataDir = dataDirOf(options, io);
  const local = await readJsonFile(join(dataDir, 'server.json'), serverFileSchema);
  const localUrl = local?.url.replace(/\/+$/, '');
  const serverUrl =
    options.server !== undefined
      ? checkUrl(options.server, '--server')
      : io.env.SELVEDGE_SERVER
        ? checkUrl(io.env.SELVEDGE_SERVER, 'SELVEDGE_SERVER')
        : (localUrl ?? DEFAULT_SERVER);
  const given = options.token ?? (io.env.SELVEDGE_TOKEN || undefined);
  const isOurs = serverUrl === localUrl || isLoopback(serverUrl);
  const token = given ?? (isOurs ? await readTokenFile(join(dataDir, 'admin-token')) : undefined);
  return {
    serverUrl,
    token,
    dataDir,
    output: options.output ?? 'table',
    color: options.color !== false && !io.env.NO_COLOR && io.stdout.isTTY === true,
    quiet: options.quiet === true,
  };
}
