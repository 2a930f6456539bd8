import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { readJsonFile, writeFileAtomic, writeJsonAtomic } from './atomic-file.ts';
import { backoffDelayMs } from './backoff.ts';
import { confinePath } from './confine.ts';
import { SerialRunner } from './serial-runner.ts';

describe('files on disk', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atomic-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are replaced whole, with the asked-for mode and no leftovers', async () => {
    const path = join(folder, 'deep/secret');
    await writeFileAtomic(path, 'old');
    await writeFileAtomic(path, 'new', { mode: 0o600 });
    expect(await readFile(path, 'utf8')).toBe('new');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'deep'))).toEqual(['secret']);
  });

  it('are read through a schema, and missing ones are undefined', async () => {
    const schema = z.object({ a: z.number() });
    expect(await readJsonFile(join(folder, 'none.json'), schema)).toBeUndefined();
    await writeJsonAtomic(join(folder, 'a.json'), { a: 1 });
    expect(await readJsonFile(join(folder, 'a.json'), schema)).toEqual({ a: 1 });
    await writeFile(join(folder, 'a.json'), '{"a": "x"}');
    await expect(readJsonFile(join(folder, 'a.json'), schema)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      details: { issues: [{ path: 'a' }] },
    });
    await writeFile(join(folder, 'a.json'), '{"a": ');
    await expect(readJsonFile(join(folder, 'a.json'), schema)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});

describe('confinePath', () => {
  it.each(['../x', '/etc/passwd', 'a/../../x', 'a\0b', 'a\\..\\b'])('refuses %j', (path) => {
    expect(() => confinePath('/data/root', path)).toThrow(expect.objectContaining({ code: 'ARCHIVE_UNSAFE' }));
  });

  it('never leaves the folder, whatever it is given', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('..', '.', 'a', 'b c', '', '/', '...'), { maxLength: 8 }), (parts) => {
        let target = '/data/root/inside';
        try {
          target = confinePath('/data/root', parts.join('/'));
        } catch {
          return; // refused is fine
        }
        expect(target === '/data/root' || target.startsWith('/data/root/')).toBe(true);
      }),
    );
  });
});

describe('backoffDelayMs', () => {
  it('stays between half and all of the capped exponential', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
        const full = Math.min(10_000, 100 * 2 ** Math.min(attempt - 1, 30));
        const delay = backoffDelayMs(attempt, { baseMs: 100, maxMs: 10_000 }, () => random);
        expect(delay).toBeGreaterThanOrEqual(full / 2);
        expect(delay).toBeLessThanOrEqual(full);
      }),
    );
  });
});

describe('SerialRunner', () => {
  it('runs one at a time in order, and goes on after a failure', async () => {
    const runner = new SerialRunner();
    const trace: string[] = [];
    const work =
      (name: string, fails = false) =>
      async () => {
        trace.push(`${name}+`);
        await new Promise((resolve) => setImmediate(resolve));
        trace.push(`${name}-`);
        if (fails) throw new Error(name);
        return name;
      };
    const results = await Promise.allSettled([runner.run(work('a')), runner.run(work('b', true)), runner.run(work('c'))]);
    expect(trace).toEqual(['a+', 'a-', 'b+', 'b-', 'c+', 'c-']);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
