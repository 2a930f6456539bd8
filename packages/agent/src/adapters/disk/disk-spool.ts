import { readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { addRange, gapsIn, type SequenceRange, type SpoolStanding } from '@selvedge/contract';
import { describeError, type Logger, SerialRunner } from '@selvedge/runtime';
import { type ClockReading, learnClockOffset, noteClock, toServerMs } from '../../domain/spool-clocks.ts';
import { formatRecord, headOf, type KeptRecord, parseRecords, sequenceOf } from '../../domain/spool-lines.ts';
import type { BatchWish, Spool, SpoolBatch, SpoolEntry, SpoolRecord } from '../../ports/spool.ts';
import {
  ACTIVE,
  listSegments,
  newMeta,
  openActive,
  readLines,
  readMeta,
  removeSegment,
  renameSegment,
  type Segment,
  type SpoolMeta,
  segmentName,
  writeMeta,
} from './spool-folder.ts';
import { cut, keep, within } from './spool-selection.ts';

export interface DiskSpoolOptions {
  folder: string;
  device: string;
  budgetBytes: number;
  log: Logger;
  /** This machine's; tests have their own. */
  reading?: () => ClockReading;
}

/** Entries that come faster than this share a write: an SD card wears by writes. A killed agent loses as much at most. */
const WRITE_EVERY_MS = 20_000;
/** So many are written at once anyway. */
const WRITE_AT_LEAST = 100;
/** What a power cut may take of what was not given out: the system writes earlier by itself, usually. */
const SYNC_EVERY_MS = 600_000;
/** Entries in memory that the disk does not take; then the oldest go. */
const MAX_UNWRITTEN = 1000;
/** Newest lines in memory: who is connected sends them without a look at the disk. */
const MAX_RECENT = 64;
const MAX_OFFERED = 256;

function machineReading(): ClockReading {
  let boot = 'unknown';
  try {
    boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Another system than Linux: its clock is as good as one that was never set.
  }
  return { boot, wallMs: Date.now(), uptimeMs: uptime() * 1000 };
}

/** The spool in a folder: the file that is written, and sealed ones of bounded size. Old ones are put together when room runs out. */
export class DiskSpool implements Spool {
  readonly #options: DiskSpoolOptions;
  readonly #reading: () => ClockReading;
  readonly #work = new SerialRunner();
  /** May be changed; the next whole file keeps to it. */
  budgetBytes: number;
  #meta: SpoolMeta;
  #segments: Segment[];
  #file: FileHandle | undefined;
  #active = { first: 0, records: 0, bytes: 0 };
  #next: number;
  #pending: string[] = [];
  #recent: string[] = [];
  #inFlight: SequenceRange[] = [];
  #timer: NodeJS.Timeout | undefined;
  #wroteAtMs = Number.NEGATIVE_INFINITY;
  #syncedAtMs = 0;
  #unsynced = false;
  #oldestMs: number | null = null;
  #complained = false;

  private constructor(options: DiskSpoolOptions, meta: SpoolMeta, segments: Segment[], next: number) {
    this.#options = options;
    this.#reading = options.reading ?? machineReading;
    this.#meta = meta;
    this.#segments = segments;
    this.#next = next;
    this.budgetBytes = options.budgetBytes;
  }

  get #segmentBytes(): number {
    return Math.min(128 * 1024, Math.floor(this.budgetBytes / 16));
  }

  /** Takes up what is there; what belongs to another device is removed. */
  static async open(options: DiskSpoolOptions): Promise<DiskSpool> {
    const spool = await DiskSpool.#read(options, true);
    spool.#noteClock();
    await spool.#saveMeta();
    return spool;
  }

  /** How it stands in a folder that another process may work in. */
  static async inspect(options: DiskSpoolOptions): Promise<SpoolStanding> {
    return (await DiskSpool.#read(options, false)).stats();
  }

  static async #read(options: DiskSpoolOptions, isOurs: boolean): Promise<DiskSpool> {
    const { folder, device, log } = options;
    // A disk that cannot be read is no reason not to serve.
    const missing = (error: unknown) => void log.warn('the spool cannot be read', describeError(error));
    let segments = (await listSegments(folder, isOurs).catch(missing)) ?? [];
    let active = (await openActive(folder, isOurs).catch(missing)) ?? undefined;
    const known = await readMeta(folder);
    if (known !== undefined && known.device !== device) {
      for (const name of isOurs ? [...segments.map((segment) => segment.name), ACTIVE] : []) await removeSegment(folder, name);
      segments = [];
      active = undefined;
    }
    const meta = known?.device === device ? known : newMeta(device);
    const used = [...meta.acknowledged, ...meta.offered, ...segments, ...(active === undefined ? [] : [active])];
    const spool = new DiskSpool(options, meta, segments, Math.max(0, ...used.map(({ last }) => last)) + 1);
    if (active !== undefined) spool.#active = active;
    const last = active === undefined ? undefined : headOf(active.lastLine);
    if (last !== undefined) meta.latestMs = Math.max(meta.latestMs, toServerMs(meta.clocks, last.sequence, last.atMs));
    await spool.#findOldest();
    return spool;
  }

  append(entry: SpoolEntry): void {
    this.#noteClock();
    const sequence = this.#next;
    this.#next += 1;
    const record = keep(entry, sequence);
    this.#oldestMs ??= toServerMs(this.#meta.clocks, sequence, record.atMs);
    this.#pending.push(formatRecord(record));
    if (this.#pending.length > MAX_UNWRITTEN) {
      this.#pending.shift();
      this.#meta.dropped += 1;
    }
    const waitMs = this.#wroteAtMs + WRITE_EVERY_MS - performance.now();
    if (waitMs <= 0 || this.#pending.length >= WRITE_AT_LEAST) this.#writeSoon();
    else this.#timer ??= setTimeout(() => this.#writeSoon(), waitMs).unref();
  }

  nextBatch(wish: BatchWish): Promise<SpoolBatch | undefined> {
    return this.#work.run(async () => {
      await this.#write();
      const found = await this.#find(wish);
      if (found === undefined) return undefined;
      const { first, last } = found.range;
      this.#inFlight = addRange(this.#inFlight, found.range);
      const others = this.#meta.offered.filter((range) => range.first !== first || range.last !== last);
      this.#meta.offered = [...others, { first, last }].slice(-MAX_OFFERED);
      this.#meta.latestMs = Math.max(this.#meta.latestMs, toServerMs(this.#meta.clocks, this.#next, this.#reading().wallMs));
      // What is sent must not be forgotten: its numbers would be given to something else.
      await this.#sync();
      await this.#saveMeta();
      const records = (await parseRecords(found.lines)).map((record) => this.#toRecord(record));
      return { spoolId: this.#meta.spoolId, first, last, records, waiting: Math.max(0, this.#waiting() - records.length) };
    });
  }

  acknowledge({ spoolId, first, last }: Pick<SpoolBatch, 'spoolId' | 'first' | 'last'>, isLasting = false): Promise<void> {
    return this.#work.run(async () => {
      if (spoolId !== this.#meta.spoolId) return;
      this.release({ first, last });
      this.#settle({ first, last });
      await this.#removeSettled();
      if (isLasting) await this.#saveMeta();
      await this.#findOldest();
    });
  }

  release({ first, last }: SequenceRange): void {
    this.#inFlight = gapsIn([{ first, last }], { first: 0, last: Number.MAX_SAFE_INTEGER }).flatMap((outside) =>
      this.#inFlight.flatMap((range) => {
        const kept = { first: Math.max(range.first, outside.first), last: Math.min(range.last, outside.last) };
        return kept.first <= kept.last ? [kept] : [];
      }),
    );
  }

  learnOffset(offsetMs: number): void {
    this.#noteClock();
    this.#meta.clocks = [...learnClockOffset(this.#meta.clocks, offsetMs)];
  }

  stats(): SpoolStanding {
    const { aggregated, dropped } = this.#meta;
    const waiting = this.#waiting();
    const oldestAt = waiting === 0 || this.#oldestMs === null ? null : new Date(this.#oldestMs).toISOString();
    return { usedBytes: this.#usedBytes(), budgetBytes: this.budgetBytes, waiting, oldestAt, aggregated, dropped };
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#work.run(async () => {
      await this.#write();
      await this.#sync();
      await this.#file?.close();
      this.#file = undefined;
      await this.#saveMeta();
    });
  }

  #noteClock(): void {
    const { clocks, latestMs } = this.#meta;
    this.#meta.clocks = [...noteClock(clocks, this.#next, this.#reading(), latestMs)];
  }

  #toRecord(record: KeptRecord): SpoolRecord {
    const { sequence } = record;
    const at = new Date(toServerMs(this.#meta.clocks, sequence, record.atMs)).toISOString();
    if (record.kind === 'results') return { sequence, kind: 'results', results: { at, ...record.results } };
    const { values, summary } = record;
    if (summary === null) return { sequence, kind: 'sample', sample: { at, ...values } };
    const { count, spanMs, min, max } = summary;
    return { sequence, kind: 'sample', sample: { at, ...values, summary: { count, spanS: spanMs / 1000, min, max } } };
  }

  /** The disk may be full: then what is to be written stays in memory, within a bound. */
  #writeSoon(): void {
    this.#work
      .run(() => this.#write())
      .then(() => {
        this.#complained = false;
      })
      .catch((error: unknown) => {
        if (!this.#complained) this.#options.log.warn('the spool cannot be written', describeError(error));
        this.#complained = true;
      });
  }

  /** Writes what is in memory. */
  async #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#pending;
    if (lines.length > 0) {
      this.#wroteAtMs = performance.now();
      const text = `${lines.join('\n')}\n`;
      this.#file ??= await open(join(this.#options.folder, ACTIVE), 'a', 0o600);
      await this.#file.appendFile(text);
      this.#unsynced = true;
      this.#pending = this.#pending.slice(lines.length);
      if (this.#active.records === 0) this.#active.first = sequenceOf(lines[0] ?? '');
      this.#active.records += lines.length;
      this.#active.bytes += Buffer.byteLength(text);
      this.#recent = [...this.#recent, ...lines].slice(-MAX_RECENT);
    }
    if (this.#wroteAtMs - this.#syncedAtMs > SYNC_EVERY_MS) await this.#sync();
    if (this.#active.bytes >= this.#segmentBytes) await this.#seal();
  }

  async #sync(): Promise<void> {
    if (!this.#unsynced) return;
    this.#syncedAtMs = performance.now();
    await this.#file?.datasync();
    this.#unsynced = false;
  }

  async #seal(): Promise<void> {
    await this.#sync();
    await this.#file?.close();
    this.#file = undefined;
    const { folder } = this.#options;
    const { first, records, bytes } = this.#active;
    const last = this.#next - 1 - this.#pending.length;
    const name = segmentName({ first, last }, 0, records);
    await renameSegment(folder, ACTIVE, name);
    this.#segments.push({ name, first, last, level: 0, records, bytes });
    this.#active = { first: 0, records: 0, bytes: 0 };
    await this.#removeSettled();
    if (this.#usedBytes() > this.budgetBytes - this.#segmentBytes) await this.#makeRoom();
    await this.#saveMeta();
  }

  async #makeRoom(): Promise<void> {
    const { folder, log } = this.#options;
    // Most devices never come here.
    const { makeRoom } = await import('./spool-compaction.ts');
    const { acknowledged, offered, clocks } = this.#meta;
    const targetBytes = this.budgetBytes - this.#segmentBytes - this.#active.bytes;
    const done = await makeRoom({
      folder,
      segments: this.#segments,
      segmentBytes: this.#segmentBytes,
      targetBytes,
      acknowledged,
      offered,
      clocks,
    });
    this.#segments = done.segments;
    this.#meta.aggregated += done.aggregated;
    this.#meta.dropped += done.dropped;
    if (done.dropped > 0)
      log.warn('old records were given up: the spool is full', { dropped: done.dropped, budgetBytes: this.budgetBytes });
    await this.#findOldest();
  }

  /** The lines to give out, and the numbers that are settled with them. */
  async #find({ order, maxRecords, maxBytes }: BatchWish): Promise<{ range: SequenceRange; lines: string[] } | undefined> {
    const all = { first: 1, last: this.#next - 1 - this.#pending.length };
    const taken = this.#inFlight.reduce(addRange, [...this.#meta.acknowledged]);
    const gaps = gapsIn(taken, all);
    for (;;) {
      const gap = order === 'oldest' ? gaps.shift() : gaps.at(-1);
      // What lies below something that was given out is not new.
      if (gap === undefined || (order === 'newest' && gap.last < all.last)) return undefined;
      const lines = order === 'oldest' ? await this.#readFirst(gap) : await this.#readLast(gap);
      if (lines.found.length === 0) {
        this.#settle(lines.range); // nothing is left of these
        if (order === 'newest' || lines.range.last < gap.last)
          gaps.splice(0, gaps.length, ...gapsIn(this.#inFlight.reduce(addRange, [...this.#meta.acknowledged]), all));
        continue;
      }
      return cut(lines.found, lines.range, order, maxRecords, maxBytes);
    }
  }

  /** Of the first file that has any of these numbers. */
  async #readFirst(gap: SequenceRange): Promise<{ found: string[]; range: SequenceRange }> {
    const segment = this.#segments.find(({ last }) => last >= gap.first);
    const name = segment?.name ?? ACTIVE;
    const last = Math.min(gap.last, segment?.last ?? gap.last);
    return { found: await this.#linesIn(name, { first: gap.first, last }), range: { first: gap.first, last } };
  }

  /** Of the last file that has any of these numbers, or from memory. */
  async #readLast(gap: SequenceRange): Promise<{ found: string[]; range: SequenceRange }> {
    const known = sequenceOf(this.#recent[0] ?? '');
    if (known <= gap.last) {
      const range = { first: Math.max(gap.first, known), last: gap.last };
      return { found: within(this.#recent, range), range };
    }
    if (this.#active.records > 0 && this.#active.first <= gap.last) {
      const range = { first: Math.max(gap.first, this.#active.first), last: gap.last };
      return { found: await this.#linesIn(ACTIVE, range), range };
    }
    const index = this.#segments.findLastIndex(({ first }) => first <= gap.last);
    const before = this.#segments[index - 1]?.last ?? 0;
    const range = { first: Math.max(gap.first, before + 1), last: gap.last };
    const name = this.#segments[index]?.name;
    return { found: name === undefined ? [] : await this.#linesIn(name, range), range };
  }

  async #linesIn(name: string, range: SequenceRange): Promise<string[]> {
    return within(await readLines(this.#options.folder, name), range);
  }

  #settle(range: SequenceRange): void {
    this.#meta.acknowledged = addRange(this.#meta.acknowledged, range);
    const isOpen = (offered: SequenceRange) => gapsIn(this.#meta.acknowledged, offered).length > 0;
    this.#meta.offered = this.#meta.offered.filter(isOpen);
  }

  async #removeSettled(): Promise<void> {
    const isSettled = (range: SequenceRange) => gapsIn(this.#meta.acknowledged, range).length === 0;
    const settled = this.#segments.filter(isSettled);
    if (settled.length === 0) return;
    // Their numbers are known from them alone until then.
    await writeMeta(this.#options.folder, this.#meta, false);
    for (const { name } of settled) await removeSegment(this.#options.folder, name);
    this.#segments = this.#segments.filter((segment) => !settled.includes(segment));
  }

  /** When the oldest record that waits is from. */
  async #findOldest(): Promise<void> {
    const [gap] = gapsIn(this.#meta.acknowledged, { first: 1, last: this.#next - 1 - this.#pending.length });
    const [pending] = this.#pending;
    const line = gap === undefined ? pending : (await this.#readFirst(gap)).found[0];
    const record = line === undefined ? undefined : headOf(line);
    this.#oldestMs = record === undefined ? null : toServerMs(this.#meta.clocks, record.sequence, record.atMs);
  }

  /** Of files that are sent in part, as many as their numbers let expect. */
  #waiting(): number {
    const { first, records } = this.#active;
    const last = this.#next - 1 - this.#pending.length;
    const files = records > 0 ? [...this.#segments, { first, last, records }] : this.#segments;
    const count = files.reduce((sum, file) => {
      const open = gapsIn(this.#meta.acknowledged, file).reduce((size, gap) => size + gap.last - gap.first + 1, 0);
      return sum + Math.round((file.records * open) / (file.last - file.first + 1));
    }, 0);
    return count + this.#pending.length;
  }

  #usedBytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, this.#active.bytes);
  }

  async #saveMeta(): Promise<void> {
    try {
      await writeMeta(this.#options.folder, this.#meta, true);
    } catch (error) {
      this.#options.log.warn('the state of the spool could not be kept', describeError(error));
    }
  }
}
