import { appendFileSync, mkdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type MetricPoint, metricPointSchema } from '@selvedge/contract';
import { readTextFile, systemErrorCode } from '@selvedge/runtime';

/** No "." in a name, so that "/" can be written as "." in file names and URLs and be read back. */
const METRIC_NAME = /^[a-z0-9][a-z0-9_-]*(\/[a-z0-9][a-z0-9_-]*)*$/;

function isMetricName(name: string): boolean {
  return name.length <= 128 && METRIC_NAME.test(name);
}

/** `train/loss` -> `train.loss`: how a metric is called in a file name and in a URL. */
function metricFileName(metric: string): string {
  return metric.replaceAll('/', '.');
}

/** The complete lines of a metric's file; a line that a crash cut short is left out. */
export function parsePoints(text: string): MetricPoint[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => metricPointSchema.parse(JSON.parse(line)));
}

interface Curve {
  readonly path: string;
  /** Last step written; -Infinity when there is none. */
  lastStep: number;
}

/**
 * Writes the metric curves of one artifact as JSON lines, steps ascending within each.
 *
 * Appends are synchronous: a point is some hundred bytes in the page cache, and its order with the log and with a crash
 * stays exact without a queue.
 */
export class MetricFiles {
  readonly #folder: string;
  readonly #curves = new Map<string, Curve>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  append(metric: string, step: number, value: number, at: string): void {
    if (!isMetricName(metric) || !Number.isFinite(step)) throw new TypeError(`Not a metric point: ${JSON.stringify({ metric, step })}`);
    const curve = this.#curves.get(metric) ?? this.#open(metric);
    if (step <= curve.lastStep) dropFrom(curve.path, step);
    appendFileSync(curve.path, `${JSON.stringify({ metric, step, value, at } satisfies MetricPoint)}\n`);
    curve.lastStep = step;
  }

  clear(): void {
    this.#curves.clear();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #open(metric: string): Curve {
    mkdirSync(this.#folder, { recursive: true });
    const path = join(this.#folder, `${metricFileName(metric)}.jsonl`);
    const points = dropFrom(path, Number.POSITIVE_INFINITY);
    const curve = { path, lastStep: points.at(-1)?.step ?? Number.NEGATIVE_INFINITY };
    this.#curves.set(metric, curve);
    return curve;
  }
}

/** Cuts the file before the first point of `step` or later, and a line that a crash cut short; returns what stays. */
function dropFrom(path: string, step: number): MetricPoint[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
  const points = parsePoints(text);
  const first = points.findIndex((point) => point.step >= step);
  const kept = first < 0 ? points : points.slice(0, first);
  const lines = text.split('\n').slice(0, kept.length);
  truncateSync(
    path,
    lines.reduce((bytes, line) => bytes + Buffer.byteLength(line) + 1, 0),
  );
  return kept;
}

/** Names ("train/loss") of the metrics in a folder, sorted. */
export async function listMetrics(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => name.slice(0, -'.jsonl'.length).replaceAll('.', '/'))
    .sort();
}

/** The points of one metric; undefined when there is no such metric. */
export async function readPoints(folder: string, metric: string): Promise<MetricPoint[] | undefined> {
  if (!isMetricName(metric)) return undefined;
  const text = await readTextFile(join(folder, `${metricFileName(metric)}.jsonl`));
  return text === undefined ? undefined : parsePoints(text);
}
