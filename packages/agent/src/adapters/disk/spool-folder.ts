import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { SequenceRange } from '@selvedge/contract';
import { readTextFile, writeFileAtomic } from '@selvedge/runtime';
import { areClocks, type SpoolClock } from '../../domain/spool-clocks.ts';
import { sequenceOf } from '../../domain/spool-lines.ts';

const META = 'meta.json';
export const ACTIVE = 'active.jsonl';
const SEALED = /^(\d{15})-(\d{15})-(\d)-(\d+)\.jsonl$/;

export interface SpoolMeta {
  format: 1;
  spoolId: string;
  /** Whose it is: what one device measured is not sent as another's. */
  device: string;
  /** What the server has taken. */
  acknowledged: SequenceRange[];
  /** What was given out, maybe sent, and is not known to be taken. */
  offered: SequenceRange[];
  clocks: SpoolClock[];
  /** The latest time that is known to have been, by the server's clock. */
  latestMs: number;
  aggregated: number;
  dropped: number;
}

/** A file of records that is not written any more. */
export interface Segment {
  name: string;
  first: number;
  last: number;
  /** See `LEVEL_MS`. */
  level: number;
  records: number;
  bytes: number;
}

export const newMeta = (device: string): SpoolMeta => ({
  format: 1,
  spoolId: randomUUID(),
  device,
  acknowledged: [],
  offered: [],
  clocks: [],
  latestMs: 0,
  aggregated: 0,
  dropped: 0,
});

export function segmentName({ first, last }: SequenceRange, level: number, records: number): string {
  const pad = (sequence: number) => String(sequence).padStart(15, '0');
  return `${pad(first)}-${pad(last)}-${level}-${records}.jsonl`;
}

/** @returns undefined when there is none, or when it is damaged. */
export async function readMeta(folder: string): Promise<SpoolMeta | undefined> {
  try {
    const read: unknown = JSON.parse((await readTextFile(join(folder, META))) ?? 'null');
    return isMeta(read) ? read : undefined;
  } catch {
    return undefined;
  }
}

const MAX_RANGES = 1024;

/** By hand, not by a schema: what an idle agent loads has to be small. */
function isMeta(read: unknown): read is SpoolMeta {
  if (!isObject(read)) return false;
  const { format, spoolId, device, acknowledged, offered, clocks, latestMs, aggregated, dropped } = read;
  const isRange = (range: unknown) => isObject(range) && isCount(range.first) && isCount(range.last) && range.first <= range.last;
  const isRanges = (ranges: unknown) => Array.isArray(ranges) && ranges.length <= MAX_RANGES && ranges.every(isRange);
  const isText = (text: unknown) => typeof text === 'string' && text !== '' && text.length <= 128;
  const isKnown = format === 1 && isText(spoolId) && isText(device) && isRanges(acknowledged) && isRanges(offered);
  return isKnown && areClocks(clocks) && Number.isFinite(latestMs) && isCount(aggregated) && isCount(dropped);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** @param mayRevert - see `writeFileAtomic`. */
export function writeMeta(folder: string, meta: SpoolMeta, mayRevert: boolean): Promise<void> {
  return writeFileAtomic(join(folder, META), JSON.stringify(meta), { mode: 0o600, mayRevert });
}

/**
 * Sealed segments, oldest first. One that a cut left beside what it was put together into does not count.
 *
 * @param isOurs - nobody else works in the folder: what does not count is removed.
 */
export async function listSegments(folder: string, isOurs: boolean): Promise<Segment[]> {
  if (isOurs) await mkdir(folder, { recursive: true, mode: 0o700 });
  const found: Segment[] = [];
  for (const name of (await readdir(folder).catch(() => [])).toSorted()) {
    const [, first, last, level, records] = SEALED.exec(name) ?? [];
    if (first !== undefined) {
      const { size } = await stat(join(folder, name));
      found.push({ name, first: Number(first), last: Number(last), level: Number(level), records: Number(records), bytes: size });
    } else if (isOurs && name.endsWith('.tmp')) await rm(join(folder, name), { force: true });
  }
  const isIn = (a: Segment, b: Segment) => a !== b && b.level >= a.level && a.first >= b.first && a.last <= b.last;
  const stale = found.filter((segment) => found.some((other) => isIn(segment, other)));
  for (const { name } of isOurs ? stale : []) await rm(join(folder, name), { force: true });
  return found.filter((segment) => !stale.includes(segment));
}

/** The file that was written last, without what a cut tore off. */
export async function openActive(
  folder: string,
  isOurs: boolean,
): Promise<{ first: number; last: number; records: number; bytes: number; lastLine: string } | undefined> {
  const path = join(folder, ACTIVE);
  const content = await readFile(path).catch(() => undefined);
  if (content === undefined || content.length === 0) return undefined;
  const whole = content.lastIndexOf(10) + 1;
  if (isOurs && whole < content.length) await truncate(path, whole);
  const lines = linesOf(content.toString('utf8', 0, whole));
  const numbers = lines.map(sequenceOf);
  const [first, last] = [numbers[0], numbers.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  return { first, last, records: lines.length, bytes: whole, lastLine: lines.at(-1) ?? '' };
}

/** Lines that begin as records do. */
function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => /^\[\d{1,16},/.test(line));
}

export async function readLines(folder: string, name: string): Promise<string[]> {
  return linesOf((await readTextFile(join(folder, name))) ?? '');
}

export function removeSegment(folder: string, name: string): Promise<void> {
  return rm(join(folder, name), { force: true });
}

export function renameSegment(folder: string, from: string, to: string): Promise<void> {
  return rename(join(folder, from), join(folder, to));
}
