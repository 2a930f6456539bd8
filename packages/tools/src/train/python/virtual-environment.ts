import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { pathExists } from '@selvedge/runtime';
import type { Interpreter, ProcessPlace } from './interpreter.ts';
import { runProcess } from './run-process.ts';

/** Written when all is installed; its time is that of the last use. */
const MARKER = 'selvedge-complete';
/** Environments with PyTorch take gigabytes: those that were not used for longest go. */
const MAX_ENVIRONMENTS = 8;
const SHOWN_LINES = 6;

export interface EnvironmentOptions {
  readonly requirements: readonly string[];
  readonly interpreter: Interpreter;
  /** Folder that keeps environments. */
  readonly cacheDir: string;
  readonly place: ProcessPlace;
  log(text: string): void;
  progress(fraction: number, message: string): void;
}

/**
 * The Python of a virtual environment in which the requirements are installed. It is kept, by a digest of the list and of the
 * Python below it, and sees the packages of the system too.
 *
 * Invariant: an environment without its marker is never used.
 *
 * @throws AppError SETUP_INCOMPLETE (user) when there is no venv here; STEP_FAILED (operational) with the last lines of pip.
 */
export async function preparedPython(options: EnvironmentOptions): Promise<string> {
  const { requirements, interpreter, cacheDir, log, place } = options;
  const digest = createHash('sha256')
    .update(JSON.stringify([interpreter.executable, interpreter.version, requirements]))
    .digest('hex');
  const root = join(cacheDir, 'python-environments');
  const folder = join(root, digest);
  const python = join(folder, 'bin/python');
  const marker = join(folder, MARKER);
  if (await pathExists(marker)) {
    log(`requirements: installed earlier, for Python ${interpreter.version}`);
    await utimes(marker, new Date(), new Date());
    return python;
  }
  await rm(folder, { recursive: true, force: true });
  await removeOldest(root);
  await mkdir(root, { recursive: true });
  try {
    await createEnvironment(options, folder);
    await install(options, folder, python);
    place.signal.throwIfAborted();
    await writeFile(marker, '');
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return python;
}

async function createEnvironment({ interpreter, log, progress, place }: EnvironmentOptions, folder: string): Promise<void> {
  progress(0, 'Making a virtual environment');
  const last: string[] = [];
  const { code } = await runProcess({
    ...place,
    command: [interpreter.command, '-m', 'venv', '--system-site-packages', folder],
    onLine: (_stream, line) => {
      log(line);
      if (line.trim() !== '') last.push(line.trim());
    },
  });
  place.signal.throwIfAborted();
  if (code === 0) return;
  throw new AppError('SETUP_INCOMPLETE', {
    message: `train.requirements need a virtual environment, and "${interpreter.command} -m venv" failed: ${last.slice(0, SHOWN_LINES).join(' | ') || `code ${code}`}`,
    hint: 'Install venv on the machine of the server (Debian: apt install python3-venv); or install the packages for its Python (apt install python3-numpy, ...) and leave train.requirements out.',
  });
}

async function install(
  { requirements, interpreter, log, progress, place }: EnvironmentOptions,
  folder: string,
  python: string,
): Promise<void> {
  progress(0, 'Installing the requirements');
  log(`requirements: installing ${requirements.length} line(s) for Python ${interpreter.version}`);
  const list = join(folder, 'requirements.txt');
  await writeFile(list, `${requirements.join('\n')}\n`);
  const errors: string[] = [];
  const { code } = await runProcess({
    ...place,
    env: { ...place.env, ...pipSettings(process.env) },
    command: [python, '-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--no-cache-dir', '-r', list],
    onLine: (stream, line) => {
      log(line);
      if (stream === 'stderr' && line.trim() !== '') errors.push(line.trim());
    },
  });
  place.signal.throwIfAborted();
  if (code === 0) return;
  throw new AppError('STEP_FAILED', {
    message: `train.requirements could not be installed; pip said: ${errors.slice(-SHOWN_LINES).join(' | ') || `code ${code}`}`,
    hint: "Correct the names and versions. pip needs the network or an index that it can reach: PIP_INDEX_URL, PIP_FIND_LINKS and HTTPS_PROXY of the server's environment are passed on to it. Without one, install the packages for the system's Python and leave train.requirements out.",
  });
}

/** What tells pip where packages are; it may hold credentials, so the script does not get it. */
function pipSettings(env: NodeJS.ProcessEnv): Record<string, string> {
  const names = /^(PIP_.+|https?_proxy|no_proxy|all_proxy|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE)$/i;
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value !== undefined && names.test(name) ? [[name, value]] : [])),
  );
}

/** Makes room for one more; what was left half made goes in any case. */
async function removeOldest(root: string): Promise<void> {
  const used: { folder: string; at: number }[] = [];
  for (const name of (await pathExists(root)) ? await readdir(root) : []) {
    const folder = join(root, name);
    const marker = join(folder, MARKER);
    if (await pathExists(marker)) used.push({ folder, at: (await stat(marker)).mtimeMs });
    else await rm(folder, { recursive: true, force: true });
  }
  used.sort((a, b) => b.at - a.at);
  for (const { folder } of used.slice(MAX_ENVIRONMENTS - 1)) await rm(folder, { recursive: true, force: true });
}
