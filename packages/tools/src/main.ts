import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AppError } from '@selvedge/contract';
import { createLogger, exitWithParent, runMain } from '@selvedge/runtime';
import * as z from 'zod';
import packageJson from '../package.json' with { type: 'json' };
import { listFilePaths, serveTool } from './kit/index.ts';
import { loadTool, TOOL_NAMES } from './tool-list.ts';

const USAGE = `usage: tools <${TOOL_NAMES.join('|')}> --data DIR [--port 0] [--host 127.0.0.1]
environment: SELVEDGE_TOOL_TOKEN (required), SELVEDGE_TRUSTED_ORIGINS (comma-separated)`;

const portSchema = z.coerce.number().int().min(0).max(65_535);

interface CommandLine {
  name: string;
  dataDir: string;
  port: number;
  host: string;
}

function readCommandLine(args: string[]): CommandLine {
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
    const [name] = positionals;
    if (name === undefined || positionals.length !== 1) throw new Error('name one tool');
    if (values.data === undefined) throw new Error('--data is missing');
    return { name, dataDir: values.data, port: portSchema.parse(values.port), host: values.host };
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? '--port must be 0 to 65535' : cause instanceof Error ? cause.message : String(cause);
    throw new AppError('USAGE', { message: `${reason}\n${USAGE}` }, { cause });
  }
}

/** Takes the token out of the environment, so that neither a child process nor a dump of it shows it. */
function takeToken(): string {
  const token = process.env.SELVEDGE_TOOL_TOKEN;
  delete process.env.SELVEDGE_TOOL_TOKEN;
  if (token === undefined || token === '') throw new AppError('USAGE', { message: 'SELVEDGE_TOOL_TOKEN is not set.' });
  return token;
}

/** sha256 over the code that runs: every source file, or bundle with its Python kit, below the folder of this one, tests left out. */
async function digestCode(): Promise<string> {
  const folder = dirname(fileURLToPath(import.meta.url));
  const hash = createHash('sha256');
  for (const path of await listFilePaths(folder)) {
    if (!/\.(ts|js|mjs|py)$/.test(path) || path.endsWith('.test.ts')) continue;
    hash.update(`${path}\0`).update(await readFile(join(folder, path)));
  }
  return hash.digest('hex');
}

/** The program of a job: the bundle beside this one, or its source through tsx when we run from source. */
function jobCommand(): string[] {
  const from = import.meta.url;
  if (from.endsWith('.ts'))
    return [process.execPath, '--import', import.meta.resolve('tsx'), fileURLToPath(new URL('./job-main.ts', from))];
  return [process.execPath, fileURLToPath(new URL('./job.js', from))];
}

async function main(signal: AbortSignal): Promise<undefined> {
  const token = takeToken();
  const { name, dataDir, port, host } = readCommandLine(process.argv.slice(2));
  const tool = await loadTool(name);
  const ended = new AbortController();
  exitWithParent(() => ended.abort());
  const end = AbortSignal.any([signal, ended.signal]);
  const logger = createLogger({ name: `tool-${name}` });
  const trustedOrigins = (process.env.SELVEDGE_TRUSTED_ORIGINS ?? '').split(',').filter((origin) => origin !== '');
  const served = await serveTool(tool, {
    dataDir,
    port,
    host,
    token,
    trustedOrigins,
    version: packageJson.version,
    codeDigest: await digestCode(),
    jobCommand: jobCommand(),
    logger,
    signal: end,
  });
  process.stdout.write(`${JSON.stringify({ event: 'listening', port: served.port })}\n`);
  await new Promise<void>((resolve) => {
    if (end.aborted) resolve();
    end.addEventListener('abort', () => resolve(), { once: true });
  });
  await served.stop();
}

await runMain(main);
