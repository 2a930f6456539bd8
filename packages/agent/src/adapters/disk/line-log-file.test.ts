import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogLine } from '@selvedge/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LineLogFile } from './line-log-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'selvedge-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = () => join(folder, 'logs', 'a.log');
const open = (maxBytes = 1 << 20) => new LineLogFile(path(), maxBytes, () => Date.parse('2026-01-01T00:00:00.000Z'));
const texts = (lines: readonly LogLine[]) => lines.map(({ text }) => text);
const newest = { after: undefined, tail: undefined, sinceMs: undefined };

describe('LineLogFile', () => {
  it('goes on behind a number, also after a restart, and gives no number twice', async () => {
    const first = open();
    for (const text of ['a', 'b\n', 'c\nd']) first.append(text);
    const page = await first.read(newest);
    expect(texts(page.lines)).toEqual(['a', 'b', 'c d']);
    const second = open(); // what the first has not written would be lost with it
    second.append('e');
    const more = await second.read({ ...newest, after: page.next });
    expect(texts(more.lines)).toEqual(['e']);
    expect(more.gap).toBe(false);
    expect(more.lines[0]?.sequence).toBeGreaterThan(page.next);
    expect(texts((await second.read({ ...newest, tail: 2 })).lines)).toEqual(['c d', 'e']);
    expect((await second.read({ ...newest, after: more.next })).lines).toEqual([]);
  });

  it('stays within two files and says when lines are gone', async () => {
    const log = open(16 * 1024);
    log.append('the first');
    const { next } = await log.read(newest);
    for (let at = 0; at < 3000; at += 1) {
      log.append(`line ${at} ${'x'.repeat(40)}`);
      if (at % 50 === 0) log.flush();
    }
    log.flush();
    expect(statSync(path()).size + statSync(`${path()}.1`).size).toBeLessThanOrEqual(34 * 1024);
    const page = await log.read({ ...newest, after: next });
    expect(page.gap).toBe(true);
    expect(page.lines.at(-1)?.text).toMatch(/^line 2999 /);
  });

  it('reads pages that join without a hole', async () => {
    const log = open();
    for (let at = 0; at < 4000; at += 1) log.append(`${at} ${'y'.repeat(100)}`);
    const seen: string[] = [];
    for (let after = 0, more = true; more; ) {
      const page = await log.read({ ...newest, after });
      seen.push(...page.lines.map(({ text }) => text.split(' ')[0] ?? ''));
      after = page.next;
      more = page.lines.length > 0;
    }
    expect(seen).toEqual(Array.from({ length: 4000 }, (_, at) => String(at)));
  });

  it('skips a line that a crash cut short, and starts anew when the file is lost', async () => {
    const first = open();
    for (const text of ['one', 'two']) first.append(text);
    const { next } = await first.read(newest);
    truncateSync(path(), readFileSync(path()).length - 2);
    const second = open();
    second.append('three');
    expect(texts((await second.read(newest)).lines)).toEqual(['one', 'tw', 'three']);
    writeFileSync(path(), '');
    const third = open();
    third.append('four');
    const page = await third.read({ ...newest, after: next });
    expect(texts(page.lines)).toEqual(['four']);
    expect(page.gap).toBe(true);
  });

  it('wakes who waits as soon as there is a line', async () => {
    const log = open();
    log.append('a');
    const { next } = await log.read(newest);
    const waiting = log.wait(next, 60_000);
    log.append('b');
    await waiting;
    expect(texts((await log.read({ ...newest, after: next })).lines)).toEqual(['b']);
  });
});
