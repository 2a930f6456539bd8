import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCli } from '../run-cli.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'target-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function run(...argv: string[]) {
  return runWith({}, ...argv);
}

async function runWith(env: Record<string, string>, ...argv: string[]) {
  const output = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (data: string | Uint8Array) => {
      output[name] += data.toString();
      return true;
    },
    once: () => undefined,
  });
  const exitCode = await runCli(['target', ...argv], {
    env: { SELVEDGE_TARGETS_DIR: join(folder, 'targets'), ...env },
    cwd: folder,
    stdin: (async function* () {})(),
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    signal: new AbortController().signal,
    now: Date.now,
  });
  return { exitCode, ...output };
}

it('lists every known target without a server, and says how to install one', async () => {
  const { exitCode, stdout, stderr } = await run('list');
  expect(exitCode).toBe(0);
  for (const name of ['linux-amd64', 'linux-arm64', 'linux-armv7']) expect(stdout).toMatch(new RegExp(`^${name} +no `, 'm'));
  expect(stderr).toContain('selvedge target install');
  expect(JSON.parse((await run('list', '-o', 'json')).stdout).items).toHaveLength(stdout.trim().split('\n').length - 1);
});

it('says what compiled objects take, and what they may', async () => {
  await mkdir(join(folder, 'targets/cache/objects/aa'), { recursive: true });
  await writeFile(join(folder, 'targets/cache/objects/aa/one.o'), new Uint8Array(5000));
  const limit = { SELVEDGE_OBJECT_CACHE_MIB: '2' };
  expect((await runWith(limit, 'list')).stderr).toContain('Objects that builds compiled take 8.0 KiB, at most 2.0 MiB.');
  const { objectCache } = JSON.parse((await runWith(limit, 'list', '-o', 'json')).stdout);
  expect(objectCache).toEqual({ sizeBytes: 8192, limitBytes: 2 * 1024 ** 2 });
  expect(await runWith({ SELVEDGE_OBJECT_CACHE_MIB: 'all' }, 'list')).toMatchObject({ exitCode: 2 });
});

it('names the known targets when one is misspelt, before anything is downloaded', async () => {
  const { exitCode, stderr } = await run('install', 'linux-armv7', 'linux-arm7', '--mirror', 'http://127.0.0.1:9');
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/no target linux-arm7[\s\S]*linux-amd64, linux-arm64, linux-armv7/);
});

it('says that a mirror cannot be reached, and what to do', async () => {
  const { exitCode, stderr } = await run('install', 'linux-armv7', '--mirror', 'http://127.0.0.1:9/debian');
  expect(exitCode).toBe(7);
  expect(stderr).toContain('127.0.0.1:9');
  expect(stderr).toContain('hint: ');
});

it('says what to install when there is nothing to verify', async () => {
  const { exitCode, stderr } = await run('verify', 'linux-armv7');
  expect(exitCode).toBe(6);
  expect(stderr).toContain('selvedge target install linux-armv7');
});
