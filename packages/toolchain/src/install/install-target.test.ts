import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { objectCacheBytes } from '../compile/object-space.ts';
import { hostArch } from '../recipe.ts';
import { type FixtureArchive, startDebianFixture } from '../testing/debian-fixture.ts';
import { FIXTURE_PACKAGES, FIXTURE_SOURCES, FIXTURE_TARGET, writeFixtureRecipes } from '../testing/fixture-recipes.ts';
import { lockTargets } from './folder-lock.ts';
import { type InstallOptions, installTarget } from './install-target.ts';
import { removeTarget } from './remove-target.ts';
import { verifyTarget } from './verify-target.ts';

let folder = '';
let archive: FixtureArchive;
let recipesDir = '';
let targetsDir = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'install-'));
  recipesDir = join(folder, 'recipes');
  targetsDir = join(folder, 'targets');
  archive = await startDebianFixture(join(folder, 'archive'), {
    arches: ['armtest', hostArch()],
    packages: FIXTURE_PACKAGES,
    sources: FIXTURE_SOURCES,
  });
  await writeFixtureRecipes(recipesDir, archive);
});
afterEach(async () => {
  await archive.stop();
  await rm(folder, { recursive: true, force: true });
});

const install = (options: Partial<InstallOptions> = {}) =>
  installTarget(FIXTURE_TARGET, { targetsDir, recipesDir, maxAttempts: 1, ...options });
const inSysroot = (path: string) => readFile(join(targetsDir, FIXTURE_TARGET, 'sysroot', path), 'utf8');
const DEB = 'pool/main/libtest1_1.0_armtest.deb';

describe('installTarget', () => {
  it('keeps what it compiled for the next time, up to the ceiling of the cache', async () => {
    const objects = join(targetsDir, 'cache/objects');
    await install();
    expect(await objectCacheBytes(objects)).toBeGreaterThan(0);
    await removeTarget(targetsDir, FIXTURE_TARGET, recipesDir);
    const { target } = await install({ objectCacheBytes: 0 });
    expect(await objectCacheBytes(objects)).toBe(0);
    expect(await readFile(join(target.libDir, 'libXNNPACK.a'), 'utf8')).toContain('int a;');
  });

  it('unpacks what the target needs, builds its libraries and writes down all of it', async () => {
    const { target, changed } = await install();
    expect(changed).toBe(true);
    expect(target).toMatchObject({
      isUpToDate: true,
      extras: [],
      lock: { compiler: '1.0', release: { suite: 'trixie', date: '2026-09-12T07:55:41.000Z' } },
    });
    expect(target.lock.packages.map(({ name, version }) => `${name} ${version}`)).toEqual(['libtest-dev 1.0', 'libtest1 1.0', 'thing 1.0']);
    expect(target.lock.sources.map(({ name }) => name)).toEqual(['xnnpack', 'pthreadpool']);
    expect(await inSysroot('usr/lib/arm-test-gnu/libtest.so.1')).toMatch(/^library/);
    expect(await readlink(join(target.sysroot, 'lib'))).toBe('usr/lib');
    await expect(inSysroot('usr/share/man/man1/test.1')).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await readdir(target.libDir)).sort()).toEqual(['libXNNPACK.a', 'libpthreadpool.a']);
    expect(await readFile(join(target.libDir, 'libXNNPACK.a'), 'utf8')).toMatch(/src_operators_b\.cc\.o[\s\S]*int a;[\s\S]*int b;/);
  });

  it('does nothing, not even a request, when all is there', async () => {
    await install();
    archive.requests.length = 0;
    expect(await install()).toMatchObject({ changed: false });
    expect(archive.requests).toEqual([]);
  });

  it('adds extras, keeps them, and takes what it has from its own disk', async () => {
    await install();
    archive.requests.length = 0;
    expect((await install({ extras: ['more'] })).target.extras).toEqual(['more']);
    expect(await inSysroot('usr/include/extra.h')).toBe('extra');
    expect(archive.requests).toEqual(['dists/trixie/InRelease', 'pool/main/extra-dev_1.0_armtest.deb']);
    expect(await install()).toMatchObject({ changed: false, target: { extras: ['more'] } });
  });

  it('goes on with a download where it was cut', async () => {
    archive.cutOnce(DEB, 100);
    await install({ maxAttempts: 3 });
    expect(archive.requests.filter((path) => path === DEB)).toHaveLength(2);
    expect(await inSysroot('usr/lib/arm-test-gnu/libtest.so.1')).toMatch(/^library/);
  });

  it.each(['download', 'unpack', 'build', 'finish'])('finishes after it was killed in the phase "%s"', async (phase) => {
    const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const script = join(import.meta.dirname, '../testing/install-in-child.ts');
    const child = spawn(process.execPath, ['--import', loader, script, targetsDir, recipesDir], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith(phase)) child.kill('SIGKILL');
    }
    await ended;
    await install();
    const result = await verifyTarget(targetsDir, FIXTURE_TARGET, { recipesDir });
    expect(result).toMatchObject({ damaged: [], missing: [] });
    expect((await readdir(targetsDir)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('refuses an index that is not the signed one', async () => {
    const index = 'dists/trixie/main/binary-armtest/Packages.gz';
    const data = await readFile(join(archive.root, index));
    data[data.length - 1] = (data[data.length - 1] ?? 0) ^ 1;
    await writeFile(join(archive.root, index), data);
    await expect(install()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', message: expect.stringContaining(index) });
  });

  it('refuses a package that is not the indexed one, and installs nothing', async () => {
    await appendFile(join(archive.root, DEB), 'x');
    await expect(install()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', message: expect.stringContaining(`${archive.url}/${DEB}`) });
    expect(await readdir(targetsDir)).not.toContain(FIXTURE_TARGET);
  });

  it('refuses a release that another key signed, or that was changed after it was signed', async () => {
    const path = join(archive.root, 'dists/trixie/InRelease');
    const signed = await readFile(path, 'utf8');
    await writeFile(path, signed.replace('Origin: Test', 'Origin: Best'));
    await expect(install()).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    await writeFile(path, signed.replace(/-----BEGIN PGP SIGNATURE-----[\s\S]*$/, ''));
    await expect(install()).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    const other = await startDebianFixture(join(folder, 'other'), { arches: ['armtest'], packages: [] });
    await other.stop();
    await writeFile(path, await readFile(join(other.root, 'dists/trixie/InRelease'), 'utf8'));
    await expect(install()).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('refuses the release of another suite, although the right key signed it', async () => {
    const other = await startDebianFixture(join(folder, 'old'), { arches: ['armtest'], packages: [], codename: 'bookworm' });
    await writeFile(join(recipesDir, 'debian-archive-keyring.asc'), other.publicKey);
    await expect(install({ mirror: other.url }).finally(other.stop)).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      message: expect.stringContaining('bookworm'),
    });
  });

  it('names the host when it cannot be reached, and what to do', async () => {
    await archive.stop();
    const host = new URL(archive.url).host;
    await expect(install()).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining(host),
      details: { hint: expect.stringContaining('--mirror') },
    });
  });

  it('tells a host that is no mirror from one that cannot be reached', async () => {
    await expect(install({ mirror: `${archive.url}/nothing` })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('names the known targets and extras', async () => {
    await expect(installTarget('linux-none', { targetsDir, recipesDir })).rejects.toMatchObject({
      code: 'TARGET_UNKNOWN',
      details: { hint: expect.stringContaining(FIXTURE_TARGET) },
    });
    await expect(install({ extras: ['none'] })).rejects.toMatchObject({ code: 'INPUT_INVALID', details: { hint: 'Its extras: more.' } });
  });

  it('is alone in its folder', async () => {
    const unlock = await lockTargets(targetsDir);
    await expect(install()).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
    const waiting = install({ waitMs: 20_000 });
    await unlock();
    expect(await waiting).toMatchObject({ changed: true });
  });

  it('ends when it is told to', async () => {
    const stop = new AbortController();
    const ended = install({ signal: stop.signal, onProgress: ({ phase }) => phase === 'download' && stop.abort(new Error('stopped')) });
    await expect(ended).rejects.toThrow('stopped');
    expect(await install()).toMatchObject({ changed: true });
  });
});

describe('verifyTarget', () => {
  it('finds files that were changed or deleted, of the compiler too', async () => {
    const { target } = await install();
    await writeFile(join(target.sysroot, 'usr/include/test.h'), 'changed');
    await rm(join(target.compiler.folder, 'root/usr/lib/llvm-19/bin/clang'));
    const result = await verifyTarget(targetsDir, FIXTURE_TARGET, { recipesDir });
    expect(result.damaged).toEqual([join(target.sysroot, 'usr/include/test.h')]);
    expect(result.missing).toEqual([join(target.compiler.folder, 'root/usr/lib/llvm-19/bin/clang')]);
  });

  it('says what to run when the target is not installed', async () => {
    await expect(verifyTarget(targetsDir, FIXTURE_TARGET, { recipesDir })).rejects.toMatchObject({
      code: 'TARGET_NOT_INSTALLED',
      details: { hint: expect.stringContaining('target install') },
    });
  });
});

describe('removeTarget', () => {
  it('takes the compiler with the last target', async () => {
    await install();
    expect(await removeTarget(targetsDir, FIXTURE_TARGET, recipesDir)).toEqual({ removed: true, compilerRemoved: true });
    expect(await readdir(targetsDir)).toEqual([]);
    expect(await removeTarget(targetsDir, FIXTURE_TARGET, recipesDir)).toEqual({ removed: false, compilerRemoved: false });
  });
});
