import type { ResultSummary } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { resultSeries } from './results.ts';

const summary = (minute: number, workload: string, more: Partial<ResultSummary> = {}): ResultSummary => ({
  ...{ at: new Date(minute * 60_000).toISOString(), spanS: 300, workload, model: 'm', version: '1', requests: 10, errors: 0 },
  ...{ p50Ms: 1, p95Ms: 2, latency: [], confidence: null },
  ...more,
});

describe('resultSeries', () => {
  it('adds workloads up per time, as rates, and keeps the latencies apart', () => {
    const { traffic, latency } = resultSeries([
      summary(10, 'b', { p95Ms: 7 }),
      summary(5, 'a', { errors: 5 }),
      summary(5, 'b', { requests: 40, p95Ms: null }),
    ]);
    expect(traffic).toEqual([
      { name: 'requests', x: [300, 600], y: [10, 2] },
      { name: 'errors', x: [300, 600], y: [1, 0] },
    ]);
    expect(latency).toEqual([
      { name: 'b', x: [300, 600], y: [null, 7] },
      { name: 'a', x: [300], y: [2] },
    ]);
    expect(resultSeries([])).toMatchObject({ latency: [] });
  });
});
