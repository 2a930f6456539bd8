import type { ResultSummary } from '@selvedge/contract';

interface Curve {
  name: string;
  x: number[];
  y: (number | null)[];
}

/** Workloads that are drawn; of more, nobody can tell the curves apart. */
const MAX_WORKLOADS = 4;

/** Requests and errors a minute of all workloads together, and the p95 latency of each; x is seconds since the epoch. */
export function resultSeries(results: readonly ResultSummary[]): { traffic: Curve[]; latency: Curve[] } {
  const byTime = new Map<number, { requests: number; errors: number; minutes: number }>();
  for (const { at, requests, errors, spanS } of results) {
    const x = Date.parse(at) / 1000;
    const sum = byTime.get(x) ?? { requests: 0, errors: 0, minutes: Math.max(spanS, 1) / 60 };
    byTime.set(x, { ...sum, requests: sum.requests + requests, errors: sum.errors + errors });
  }
  const points = [...byTime].toSorted(([a], [b]) => a - b);
  const x = points.map(([time]) => time);
  const traffic = [
    { name: 'requests', x, y: points.map(([, { requests, minutes }]) => requests / minutes) },
    { name: 'errors', x, y: points.map(([, { errors, minutes }]) => errors / minutes) },
  ];
  const workloads = [...new Set(results.map(({ workload }) => workload))].slice(0, MAX_WORKLOADS);
  const latency = workloads.map((name) => {
    const own = results.filter(({ workload }) => workload === name).toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
    return { name, x: own.map(({ at }) => Date.parse(at) / 1000), y: own.map(({ p95Ms }) => p95Ms) };
  });
  return { traffic, latency };
}
