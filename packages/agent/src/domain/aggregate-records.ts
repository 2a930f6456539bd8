import type { ResultSummary, SampleExtremes } from '@selvedge/contract';
import type { KeptResults } from './kept-results.ts';
import { addLatencies, type LatencyCounts, latencyQuantile } from './latency-counts.ts';
import { EXTREMES, type KeptRecord, type KeptSummary, numbersOf, valuesOf, weightOf } from './spool-lines.ts';

type KeptSample = Extract<KeptRecord, { kind: 'sample' }>;

/** What records are put together by, level by level: as they came, then one for ten minutes, an hour, a day. */
export const LEVEL_MS: readonly number[] = [0, 600_000, 3_600_000, 86_400_000];
export const TOP_LEVEL = LEVEL_MS.length - 1;

const MAX_CLASSES = 100;

function summaryOf({ values, summary }: KeptSample): KeptSummary {
  if (summary !== null) return summary;
  const { cpu, memoryUsedBytes, diskUsedBytes, temperatureC, agentRssBytes } = values;
  const same = { cpu, memoryUsedBytes, diskUsedBytes, temperatureC, agentRssBytes };
  return { count: 1, spanMs: 0, min: same, max: same };
}

function pick(a: number | null, b: number | null, by: (a: number, b: number) => number): number | null {
  return a === null || b === null ? (a ?? b) : by(a, b);
}

function extremes(a: SampleExtremes, b: SampleExtremes, by: (a: number, b: number) => number): SampleExtremes {
  const picked = { ...a };
  for (const name of EXTREMES) picked[name] = pick(a[name], b[name], by);
  return picked;
}

/** Network counters, which are not to be averaged. */
const COUNTERS = new Set([6, 7]);

function addSample(a: KeptSample, b: KeptSample): KeptSample {
  const [before, after] = [summaryOf(a), summaryOf(b)];
  const count = before.count + after.count;
  const later = numbersOf(b.values);
  const mean = (x: number, y: number) => (x * before.count + y * after.count) / count;
  const values = numbersOf(a.values).map((value, index) => pick(value, later[index] ?? null, COUNTERS.has(index) ? (_, y) => y : mean));
  return {
    kind: 'sample',
    sequence: b.sequence,
    atMs: a.atMs,
    values: valuesOf(values),
    summary: {
      count,
      spanMs: Math.max(before.spanMs, b.atMs + after.spanMs - a.atMs),
      min: extremes(before.min, after.min, Math.min),
      max: extremes(before.max, after.max, Math.max),
    },
  };
}

function addClasses(a: ResultSummary['classes'], b: ResultSummary['classes']): ResultSummary['classes'] {
  if (a === undefined || b === undefined) return a ?? b;
  const counts = new Map(a);
  for (const [name, count] of b) counts.set(name, (counts.get(name) ?? 0) + count);
  return [...counts].toSorted(([, x], [, y]) => y - x).slice(0, MAX_CLASSES);
}

/** Two summaries of one version, one after the other, as one. */
function addResults(a: KeptResults, b: KeptResults): KeptResults {
  const [x, y] = [a.results, b.results];
  const latency: LatencyCounts = addLatencies(x.latency, y.latency);
  const classes = addClasses(x.classes, y.classes);
  const confidence =
    x.confidence === null || y.confidence === null
      ? (x.confidence ?? y.confidence)
      : x.confidence.map((count, bin) => count + (y.confidence?.[bin] ?? 0));
  return {
    kind: 'results',
    sequence: b.sequence,
    atMs: a.atMs,
    results: {
      ...x,
      spanS: Math.max(x.spanS, (b.atMs - a.atMs) / 1000 + y.spanS),
      requests: x.requests + y.requests,
      errors: x.errors + y.errors,
      latency,
      p50Ms: latencyQuantile(latency, 0.5),
      p95Ms: latencyQuantile(latency, 0.95),
      confidence,
      ...(classes === undefined ? {} : { classes }),
    },
  };
}

/**
 * Puts records together that fall into the same stretch of time; what each stands for goes into exactly one.
 *
 * @param records - in the order of their numbers.
 * @param zoneOf - records are put together only with those of the same zone.
 */
export function aggregateRecords(records: readonly KeptRecord[], level: number, zoneOf: (sequence: number) => string): KeptRecord[] {
  const bucketMs = LEVEL_MS[level] ?? 0;
  if (bucketMs === 0) return [...records];
  const made: KeptRecord[] = [];
  // Where the one is that further ones go into. Only neighbours go together, so that a clock that was set back mixes nothing up.
  const open = new Map<string, number>();
  let stretch = '';
  for (const record of records) {
    const here = `${zoneOf(record.sequence)} ${Math.floor(record.atMs / bucketMs)}`;
    if (here !== stretch) open.clear();
    stretch = here;
    const what = record.kind === 'sample' ? '' : `${record.results.workload}\0${record.results.model}\0${record.results.version}`;
    const index = open.get(what);
    const before = index === undefined ? undefined : made[index];
    if (index !== undefined && before?.kind === 'sample' && record.kind === 'sample') made[index] = addSample(before, record);
    else if (index !== undefined && before?.kind === 'results' && record.kind === 'results') made[index] = addResults(before, record);
    else open.set(what, made.push(record) - 1);
  }
  return made.toSorted((a, b) => a.sequence - b.sequence);
}

export function totalWeight(records: readonly KeptRecord[]): number {
  return records.reduce((sum, record) => sum + weightOf(record), 0);
}
