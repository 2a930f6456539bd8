// What `npm run demo`, `npm test` and `npm run check` need before anything else can run. Plain JavaScript: node_modules may not be there yet.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILT_FILES } from './bundles.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MIN_NODE = [20, 19];

export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return;
  process.stderr.write(`error: Selvedge needs Node ${MIN_NODE.join('.')} or newer, this is ${process.versions.node}.\n`);
  process.exit(6);
}

/** Runs a program in the repository, output passed through (or kept when `quiet`, and shown only if it fails). Rejects when it fails. */
export function run(command, args, { quiet = false, env = {}, cwd = ROOT, uid, gid } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      uid,
      gid,
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
      env: { ...process.env, ...env },
    });
    let output = '';
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) return resolve(output);
      process.stderr.write(output);
      reject(new Error(`"${command} ${args.join(' ')}" ended with ${signal ?? `code ${code}`}`));
    });
  });
}

/** A line that says what is going on, and how long it took when it is done; keeps the terminal alive during long steps. */
export async function step(label, work, { live = process.stdout.isTTY } = {}) {
  const begin = performance.now();
  const seconds = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
  if (!live) process.stdout.write(`${label} ...\n`);
  const timer = live ? setInterval(() => process.stdout.write(`\r\x1b[K${label} … ${seconds()}`), 100) : undefined;
  try {
    const result = await work();
    process.stdout.write(`${live ? '\r\x1b[K' : ''}${label}: done in ${seconds()}\n`);
    return result;
  } catch (error) {
    process.stdout.write(`${live ? '\r\x1b[K' : ''}${label}: failed after ${seconds()}\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

function digestOf(paths, withContent) {
  const hash = createHash('sha256');
  for (const path of paths.sort()) {
    const { size, mtimeMs } = statSync(path);
    hash.update(withContent ? readFileSync(path) : `${path}:${size}:${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** All of a package that a build may read. */
function sourcesOf(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !['dist', 'node_modules'].includes(entry.name))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : join(folder, entry.name)));
}

const stamp = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

/** Node's own headers, where they lie beside its binary: then an addon that must be compiled needs no download of them. */
function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
}

/** `npm ci`, unless node_modules is what package-lock.json asks for. */
export async function ensureInstalled() {
  const marker = join(ROOT, 'node_modules/.selvedge-installed');
  const wanted = digestOf([join(ROOT, 'package-lock.json')], true);
  if (stamp(marker) === wanted) return;
  await step('Installing packages (npm ci)', () =>
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      quiet: true,
      env: { ONNXRUNTIME_NODE_INSTALL: 'skip', JOBS: 'max', ...nodeHeaders() },
    }),
  );
  writeFileSync(marker, wanted);
}

/** All bundles, unless they are newer than every source. */
export async function ensureBuilt() {
  const marker = join(ROOT, 'node_modules/.selvedge-built');
  const folders = readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name));
  const scripts = ['scripts/build.mjs', 'scripts/setup/bundles.mjs', 'package-lock.json'].map((path) => join(ROOT, path));
  const wanted = digestOf([...folders.flatMap(sourcesOf), ...scripts], false);
  const complete = BUILT_FILES.every((path) => existsSync(join(ROOT, path)));
  if (complete && stamp(marker) === wanted) return;
  await step('Building bundles', () => run('node', ['scripts/build.mjs'], { quiet: true }));
  mkdirSync(join(ROOT, 'node_modules'), { recursive: true });
  writeFileSync(marker, wanted);
}
