import type { MetricPoint } from '@selvedge/contract';

interface MetricSeries {
  /** The part before the last slash: `train`, `validation`; the metric itself when it has none. */
  readonly name: string;
  readonly metric: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
}

export interface MetricGroup {
  /** The part after the last slash: `loss`, `accuracy`. */
  readonly name: string;
  readonly series: readonly MetricSeries[];
}

const GROUP_ORDER = ['loss', 'accuracy', 'f1', 'precision', 'recall'];
const SERIES_ORDER = ['train', 'validation', 'test'];

function orderOf(list: readonly string[], name: string): number {
  const index = list.indexOf(name);
  return index < 0 ? list.length : index;
}

function compareBy(list: readonly string[]) {
  return (a: { name: string }, b: { name: string }) => orderOf(list, a.name) - orderOf(list, b.name) || a.name.localeCompare(b.name);
}

/** `train/loss` as `['train', 'loss']`; a name without a slash is its own group and series. */
export function splitMetricName(metric: string): readonly [series: string, group: string] {
  const slash = metric.lastIndexOf('/');
  return slash < 0 ? [metric, metric] : [metric.slice(0, slash), metric.slice(slash + 1)];
}

/**
 * One group per kind of metric, one series per metric, points in order of step. A step that was measured again
 * (a step of the run taken up anew) keeps the newest value.
 */
export function groupMetrics(points: readonly MetricPoint[]): MetricGroup[] {
  const curves = new Map<string, Map<number, MetricPoint>>();
  for (const point of points) {
    const curve = curves.get(point.metric) ?? new Map<number, MetricPoint>();
    const seen = curve.get(point.step);
    if (seen === undefined || seen.at <= point.at) curve.set(point.step, point);
    curves.set(point.metric, curve);
  }
  const groups = new Map<string, MetricSeries[]>();
  for (const [metric, curve] of curves) {
    const [name, group] = splitMetricName(metric);
    const sorted = [...curve.values()].sort((a, b) => a.step - b.step);
    const series = { name, metric, x: sorted.map((p) => p.step), y: sorted.map((p) => p.value) };
    groups.set(group, [...(groups.get(group) ?? []), series]);
  }
  return [...groups].map(([name, series]) => ({ name, series: series.sort(compareBy(SERIES_ORDER)) })).sort(compareBy(GROUP_ORDER));
}

/** Only the groups that make a curve: at least one series with two points or more. */
export function chartableGroups(groups: readonly MetricGroup[]): MetricGroup[] {
  return groups
    .map((group) => ({ ...group, series: group.series.filter((series) => series.x.length > 1) }))
    .filter((group) => group.series.length > 0);
}

/** Series on one x axis: the sorted union of all steps, null where a series has no value. */
export function alignSeries(series: readonly { x: readonly number[]; y: readonly (number | null)[] }[]): {
  x: number[];
  ys: (number | null)[][];
} {
  const x = [...new Set(series.flatMap((s) => [...s.x]))].sort((a, b) => a - b);
  const indexOf = new Map(x.map((value, index) => [value, index]));
  const ys = series.map((s) => {
    const row = new Array<number | null>(x.length).fill(null);
    s.x.forEach((value, i) => {
      const at = indexOf.get(value);
      if (at !== undefined) row[at] = s.y[i] ?? null;
    });
    return row;
  });
  return { x, ys };
}

/** Of detectors and embeddings in the names of versions and of runs, then of classifiers. */
const MAIN_NAMES = ['mAP@50', 'test/map50', 'rank1', 'test/rank1', 'accuracy', 'test/accuracy', 'validation/accuracy'] as const;
const MAIN_TITLES: Readonly<Record<string, string>> = { 'test/map50': 'mAP@50', 'test/rank1': 'rank-1', rank1: 'rank-1' };

/** Which of some metrics is the main one; null when none is. */
export function mainMetricName(names: readonly string[]): string | null {
  return MAIN_NAMES.find((candidate) => names.includes(candidate)) ?? null;
}

/** What a run or a version is judged by at a glance: mAP@50 of a detector, rank-1 of an embedding, accuracy of others. */
export function mainMetric(metrics: Readonly<Record<string, number>>): { name: string; value: number } | null {
  const key = mainMetricName(Object.keys(metrics));
  const value = key === null ? undefined : metrics[key];
  if (key === null || value === undefined) return null;
  return { name: MAIN_TITLES[key] ?? key.replace(/^(test|validation)\//, ''), value };
}

const MAIN_METRICS = ['test/accuracy', 'accuracy', 'validation/accuracy'] as const;

/** The one number that a run or a version is judged by at a glance: accuracy on data it was not trained on, 0..1. */
export function mainAccuracy(metrics: Readonly<Record<string, number>>): number | null {
  const name = MAIN_METRICS.find((candidate) => metrics[candidate] !== undefined);
  return name === undefined ? null : (metrics[name] ?? null);
}

const PART_ORDER = ['test', 'validation', 'train'];
const KIND_ORDER = ['accuracy', 'f1', 'precision', 'recall', 'loss'];

/** Metric names with what counts most first: of the test data, then of the validation data, then the rest. */
export function orderMetricNames(names: readonly string[]): string[] {
  const rank = (name: string) => {
    const [part, kind] = splitMetricName(name);
    const ofAll = part === kind && KIND_ORDER.includes(kind);
    return [ofAll ? 0 : orderOf(PART_ORDER, part), orderOf(KIND_ORDER, kind)] as const;
  };
  return [...new Set(names)].sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    return left[0] - right[0] || left[1] - right[1] || a.localeCompare(b);
  });
}
