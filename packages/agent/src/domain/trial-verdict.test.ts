import { stabilityIndex, type TrialGates } from '@selvedge/contract';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addTraffic, count, emptyHistogram, LATENCY_BOUNDS_MS, NO_TRAFFIC, quantile, type Traffic, trafficSince } from './histogram.ts';
import { parseModelMetrics } from './model-metrics.ts';
import { describeBroken, judgeTrial, type TrialEvidence } from './trial-verdict.ts';

const traffic = (latenciesMs: readonly number[], more: Partial<Traffic> = {}): Traffic => {
  const latencyMs = emptyHistogram(LATENCY_BOUNDS_MS);
  for (const latency of latenciesMs) count(latencyMs, latency);
  return { ...NO_TRAFFIC, requests: latenciesMs.length, latencyMs, ...more };
};
const many = (latencyMs: number, times = 100) => Array.from({ length: times }, () => latencyMs);
const evidence = (more: Partial<TrialEvidence> = {}): TrialEvidence => ({
  crashes: 0,
  candidate: traffic(many(10)),
  previous: traffic(many(10)),
  memory: { readings: 10, nowMiB: 50, warmMiB: 50 },
  temperature: { readings: 0, highestC: null },
  agreement: null,
  golden: null,
  ...more,
});
const outcome = (gates: TrialGates, more: Partial<TrialEvidence> = {}, isOver = true, minRequests = 0) =>
  judgeTrial(gates, evidence(more), minRequests, isOver).outcome;
const bins = (index: number, value = 100) => Array.from({ length: 10 }, (_, bin) => (bin === index ? value : 0));

describe('histograms', () => {
  it('gives percentiles within a bin of the exact ones', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 1, max: 5000, noNaN: true }), { minLength: 20, maxLength: 200 }), (values) => {
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.ceil(0.95 * values.length) - 1]!;
        const read = quantile(traffic(values).latencyMs!, 0.95)!;
        expect(read / exact).toBeGreaterThan(0.75);
        expect(read / exact).toBeLessThan(1.35);
      }),
    );
  });

  it('takes lower counters for those of a new process', () => {
    const before = traffic(many(10, 50));
    expect(trafficSince(before, traffic(many(10, 80))).requests).toBe(30);
    expect(trafficSince(before, traffic(many(10, 7))).requests).toBe(7);
    expect(addTraffic(before, traffic(many(10, 7))).requests).toBe(57);
  });

  it('knows no shift between equal spreads and a large one between disjoint ones', () => {
    expect(stabilityIndex([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [2, 4, 6, 8, 10, 12, 14, 16, 18, 20])).toBeCloseTo(0);
    expect(stabilityIndex(bins(9), bins(3))).toBeGreaterThan(10);
    expect(stabilityIndex(bins(9), bins(3, 0))).toBeNull();
  });
});

describe('judgeTrial', () => {
  it('fails at once on a crash, also without a gate for it, and passes at the end only', () => {
    expect(outcome({}, { crashes: 1 }, false)).toBe('failed');
    expect(outcome({ crashes: 1 }, { crashes: 1 }, false)).toBe('undecided');
    expect(outcome({ crashes: 1 }, { crashes: 1 }, true)).toBe('passed');
  });

  it.each<[string, TrialGates, Partial<TrialEvidence>]>([
    ['errors', { errorRate: 0.01 }, { candidate: traffic(many(10), { errors: 2 }) }],
    ['slow answers', { p95Ms: 20 }, { candidate: traffic([...many(10, 90), ...many(200, 10)]) }],
    ['answers slower than before', { p95Ratio: 1.5 }, { candidate: traffic(many(30)) }],
    ['memory', { rssMiB: 40 }, {}],
    ['a leak', { rssGrowthMiB: 10 }, { memory: { readings: 30, nowMiB: 90, warmMiB: 50 } }],
    ['heat', { temperatureC: 80 }, { temperature: { readings: 5, highestC: 91 } }],
    [
      'a shift of confidences',
      { confidencePsi: 0.25 },
      { candidate: traffic([], { confidence: bins(3) }), previous: traffic([], { confidence: bins(9) }) },
    ],
    ['disagreement', { agreement: 0.9 }, { agreement: { compared: 100, same: 80 } }],
    ['wrong answers', { goldenAccuracy: 0.9 }, { golden: { samples: 50, accuracy: 0.5, previousAccuracy: null } }],
    ['worse answers than before', { goldenAccuracyDrop: 0.02 }, { golden: { samples: 50, accuracy: 0.9, previousAccuracy: 0.95 } }],
  ])('fails on %s while the trial runs, and names gate, value and bar', (_, gates, more) => {
    const { outcome: found, checks } = judgeTrial(gates, evidence(more), 0, false);
    expect(found).toBe('failed');
    const [gate, bar] = Object.entries(gates)[0]!;
    expect(describeBroken(checks)).toContain(`${gate} is `);
    expect(describeBroken(checks)).toContain(`the bar is ${bar}`);
  });

  it('leaves a gate undecided that nothing is known for, and passes on the others', () => {
    const gates: TrialGates = { errorRate: 0, p95Ratio: 1, temperatureC: 60, confidencePsi: 0.1, agreement: 1, goldenAccuracy: 1 };
    const verdict = judgeTrial(gates, evidence({ candidate: NO_TRAFFIC, previous: null }), 0, true);
    expect(verdict.outcome).toBe('passed');
    expect(verdict.checks.map(({ gate, passed }) => [gate, passed])).toEqual([
      ['crashes', true],
      ['errorRate', null],
      ['p95Ratio', null],
      ['temperatureC', null],
      ['confidencePsi', null],
      ['agreement', null],
      ['goldenAccuracy', null],
    ]);
  });

  it('judges by traffic only with the requests that were asked for, and early only with some', () => {
    const oneError = { candidate: traffic(many(10, 5), { errors: 1 }) };
    expect(outcome({ errorRate: 0 }, oneError, false)).toBe('undecided');
    expect(outcome({ errorRate: 0 }, oneError, true)).toBe('failed');
    expect(outcome({ errorRate: 0 }, oneError, true, 50)).toBe('passed');
  });
});

describe('parseModelMetrics', () => {
  it('reads the format of Prometheus, and says null for what is not there', () => {
    const text = [
      '# TYPE selvedge_model_requests_total counter',
      'selvedge_model_requests_total{model="a\\"b",version="1",status="200"} 7',
      'selvedge_model_requests_total{model="a",version="1",status="503"} 2',
      'selvedge_model_latency_seconds_bucket{le="0.01"} 3',
      'selvedge_model_latency_seconds_bucket{le="0.1"} 6',
      'selvedge_model_latency_seconds_bucket{le="+Inf"} 7',
      'something_else 3',
    ].join('\n');
    expect(parseModelMetrics(text)).toEqual({
      requests: 9,
      errors: 2,
      latencyMs: { bounds: [10, 100], counts: [3, 3, 1] },
      confidence: null,
      confidenceSum: 0,
    });
  });

  it('takes any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseModelMetrics(text).requests).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
