import type { SampleExtremes, TelemetrySample } from '@selvedge/contract';
import type { KeptResults } from './kept-results.ts';

/** A record as it is kept; `atMs` is of the clock that stamped it. */
export type KeptRecord =
  | { kind: 'sample'; sequence: number; atMs: number; values: SampleValues; summary: KeptSummary | null }
  | KeptResults;

export interface KeptSummary {
  count: number;
  spanMs: number;
  min: Extremes;
  max: Extremes;
}

const VALUES = [
  'cpu',
  'memoryUsedBytes',
  'memoryTotalBytes',
  'diskUsedBytes',
  'diskTotalBytes',
  'temperatureC',
  'networkRxBytes',
  'networkTxBytes',
  'agentRssBytes',
] as const;
/** Of these the least and the greatest are kept when samples are put together. */
export const EXTREMES = ['cpu', 'memoryUsedBytes', 'diskUsedBytes', 'temperatureC', 'agentRssBytes'] as const;

export type SampleValues = Omit<TelemetrySample, 'at' | 'summary'>;
type Extremes = SampleExtremes;

/** A sample is not more precise than this. */
function short(name: (typeof VALUES)[number], number: number | null): number | null {
  if (number === null) return null;
  if (name === 'cpu') return Math.round(number * 10_000) / 10_000;
  return name === 'temperatureC' ? Math.round(number * 100) / 100 : Math.round(number);
}

function extremesOf(values: readonly (number | null)[]): Extremes {
  const [cpu = null, memoryUsedBytes = null, diskUsedBytes = null, temperatureC = null, agentRssBytes = null] = values;
  return { cpu, memoryUsedBytes, diskUsedBytes, temperatureC, agentRssBytes };
}

export function valuesOf(values: readonly (number | null)[]): SampleValues {
  const [cpu = null, memoryUsedBytes = null, memoryTotalBytes = null, diskUsedBytes = null, diskTotalBytes = null, ...rest] = values;
  const [temperatureC = null, networkRxBytes = null, networkTxBytes = null, agentRssBytes = null] = rest;
  return {
    cpu,
    memoryUsedBytes,
    memoryTotalBytes,
    diskUsedBytes,
    diskTotalBytes,
    temperatureC,
    networkRxBytes,
    networkTxBytes,
    agentRssBytes,
  };
}

export function numbersOf(values: SampleValues): (number | null)[] {
  return VALUES.map((name) => values[name]);
}

/** The record as one line, without its end. */
export function formatRecord(record: KeptRecord): string {
  const { sequence, atMs } = record;
  if (record.kind === 'results') return JSON.stringify([sequence, 'r', atMs, record.results]);
  const { values, summary } = record;
  const head = [sequence, 's', atMs, VALUES.map((name) => short(name, values[name]))];
  if (summary === null) return JSON.stringify(head);
  const { count, spanMs, min, max } = summary;
  const list = (of: Extremes) => EXTREMES.map((name) => short(name, of[name]));
  return JSON.stringify([...head, count, spanMs, list(min), list(max)]);
}

function parseJson(line: string): unknown[] {
  try {
    const read: unknown = JSON.parse(line);
    return Array.isArray(read) ? read : [];
  } catch {
    return [];
  }
}

const isCount = (value: unknown, least: number): value is number => Number.isInteger(value) && Number(value) >= least;
const isNumber = (value: unknown): value is number => Number.isFinite(value);

/** Numbers or nulls, exactly so many. */
function numbers(value: unknown, count: number): (number | null)[] | undefined {
  if (!Array.isArray(value) || value.length !== count) return undefined;
  const found = value.flatMap((one: unknown): (number | null)[] => (one === null || isNumber(one) ? [one] : []));
  return found.length === count ? found : undefined;
}

/**
 * A line of a sample: an array, because names would take more than what they name. Checked by hand, not by a schema, because an idle agent
 * reads such lines and schemas take memory.
 *
 * @returns undefined for one that is damaged.
 */
function parseSample([sequence, , atMs, content, ...more]: readonly unknown[]): KeptRecord | undefined {
  const values = numbers(content, VALUES.length);
  if (!isCount(sequence, 1) || !isNumber(atMs) || values === undefined) return undefined;
  const head = { sequence, atMs, kind: 'sample' as const, values: valuesOf(values) };
  if (more.length === 0) return { ...head, summary: null };
  const [count, spanMs, least, most] = more;
  const [min, max] = [numbers(least, EXTREMES.length), numbers(most, EXTREMES.length)];
  if (!isCount(count, 1) || !isNumber(spanMs) || spanMs < 0 || min === undefined || max === undefined) return undefined;
  return { ...head, summary: { count, spanMs, min: extremesOf(min), max: extremesOf(max) } };
}

/** Which record a line is, and when it is from; undefined for one that is damaged. */
export function headOf(line: string): { sequence: number; atMs: number } | undefined {
  const [sequence, , atMs] = parseJson(line);
  return isCount(sequence, 1) && isNumber(atMs) ? { sequence, atMs } : undefined;
}

/** The records of lines, without those that are damaged. */
export async function parseRecords(lines: readonly string[]): Promise<KeptRecord[]> {
  const read = lines.map(parseJson);
  // Loaded where models answer only.
  const parseResults = read.some(([, kind]) => kind === 'r') ? (await import('./kept-results.ts')).parseResults : undefined;
  return read.flatMap((line): KeptRecord[] => {
    const record = line[1] === 's' ? parseSample(line) : parseResults?.(line);
    return record === undefined ? [] : [record];
  });
}

/** The number at the beginning of a line, without a look at the rest; NaN when there is none. */
export function sequenceOf(line: string): number {
  return Number.parseInt(line.slice(1, 17), 10);
}

/** How many records of before a record stands for. */
export function weightOf(record: KeptRecord): number {
  return record.kind === 'sample' ? (record.summary?.count ?? 1) : 1;
}
