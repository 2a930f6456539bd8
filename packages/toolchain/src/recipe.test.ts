import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nativeDir, runtimeSources } from './native-folder.ts';
import { findRecipe, hostArch, installDigest, listRecipes } from './recipe.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recipes-'));
  await cp(join(nativeDir(), 'targets'), folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function changed(change: (value: Record<string, unknown>) => void): Promise<void> {
  const path = join(folder, 'linux-armv7.json');
  const value = JSON.parse(await readFile(path, 'utf8'));
  change(value);
  await writeFile(path, JSON.stringify(value));
}

describe('listRecipes', () => {
  it('has the targets of the product, each file one target', async () => {
    const names = ['linux-amd64', 'linux-arm64', 'linux-armv7', 'linux-riscv64'];
    expect((await listRecipes()).map(({ name }) => name)).toEqual(names);
    await writeFile(
      join(folder, 'linux-other.json'),
      (await readFile(join(folder, 'linux-armv7.json'), 'utf8')).replace('linux-armv7', 'linux-other'),
    );
    expect((await listRecipes(folder)).map(({ name }) => name)).toContain('linux-other');
  });

  it('makes an installation out of date by what it follows from, not by extras that it does not have', async () => {
    const before = await findRecipe('linux-armv7', folder);
    await changed((value) => {
      value.description = 'another';
      value.extras = { opencv: { packages: ['libopencv-core-dev'] } };
    });
    const after = await findRecipe('linux-armv7', folder);
    expect(installDigest(after, [])).toBe(installDigest(before, []));
    expect(installDigest(after, ['opencv'])).not.toBe(installDigest(before, ['opencv']));
    await changed((value) => {
      value.compilerFlags = ['-march=armv7-a'];
    });
    expect(installDigest(await findRecipe('linux-armv7', folder), [])).not.toBe(installDigest(before, []));
  });

  it.each<[string, (value: Record<string, unknown>) => void]>([
    ['a field that it does not know', (value) => Object.assign(value, { sysroots: [] })],
    ['a flag that is none', (value) => Object.assign(value, { compilerFlags: ['@file'] })],
    ['a flag of the linker that is none', (value) => Object.assign(value, { linkerFlags: ['/lib/other.a'] })],
    ['a name that is not that of the file', (value) => Object.assign(value, { name: 'linux-other' })],
    [
      'a library outside its npm package',
      (value) => Object.assign(value, { extras: { x: { npmLibrary: { package: 'a', path: '../b.so' } } } }),
    ],
  ])('refuses %s', async (_what, change) => {
    await changed(change);
    await expect(listRecipes(folder)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});

describe('hostArch', () => {
  it('says where the compiler does not run', () => {
    expect(hostArch('arm64')).toBe('arm64');
    expect(() => hostArch('arm')).toThrow(expect.objectContaining({ code: 'RESOURCES_UNAVAILABLE' }));
  });
});

describe('runtimeSources', () => {
  it('lists the sources of one folder of the runtime and no other', async () => {
    const names = (await runtimeSources('engine/xnnpack/cpu')).map((path) => path.slice(path.lastIndexOf('/') + 1));
    expect(names).toEqual(['cpuinfo.c', 'features_arm.c', 'features_x86.c']);
    await expect(runtimeSources('../../packages')).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
    await expect(runtimeSources('nothing')).rejects.toMatchObject({ code: 'REFERENCE_MISSING' });
  });
});
