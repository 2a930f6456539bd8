import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explainUserError, writeUserSources } from './user-sources.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-sources-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('writeUserSources', () => {
  it('writes all, and names those to compile in their order', async () => {
    const compiled = await writeUserSources(folder, [
      { path: 'b.cc', text: 'b' },
      { path: 'include/a.h', text: 'a' },
      { path: 'a.cpp', text: 'a' },
    ]);
    expect(compiled.map(({ path }) => path)).toEqual([join(folder, 'b.cc'), join(folder, 'a.cpp')]);
    expect(await readFile(join(folder, 'include/a.h'), 'utf8')).toBe('a');
  });

  it('refuses paths that leave the folder, files of another kind and files that come twice', async () => {
    const one = (path: string) => ({ path, text: '' });
    await expect(writeUserSources(folder, [one('../a.cc')])).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
    await expect(writeUserSources(folder, [one('Makefile')])).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(writeUserSources(folder, [one('a.cc'), one('a.cc')])).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});

describe('explainUserError', () => {
  it('gives the place by the path of the user', () => {
    const issues = [{ path: '', message: "expected ';'", file: join(folder, 'steps/a.cc'), line: 3, column: 7 }];
    const error = explainUserError(new AppError('BUILD_FAILED', { message: 'a.cc does not compile', issues }), folder);
    expect(error).toMatchObject({
      details: { message: "A source does not compile: steps/a.cc:3:7: expected ';'", issues: [{ file: 'steps/a.cc' }] },
    });
  });

  it('leaves other errors alone', () => {
    const error = new Error('other');
    expect(explainUserError(error, folder)).toBe(error);
  });
});
