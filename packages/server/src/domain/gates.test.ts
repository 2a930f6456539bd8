import type { PackageBenchmark } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateGates, type GateFacts, gateRefusal, gateText, parseGates } from './gates.ts';

const benchmark = (device: string, p95: number, rssMiB = 20): PackageBenchmark => ({
  device,
  cpuModel: 'x',
  at: '2026-01-01T00:00:00.000Z',
  archiveSha256: 'a'.repeat(64),
  images: 10,
  threads: 1,
  imagesPerS: 1000 / p95,
  latencyMs: { p50: p95 / 2, p90: p95 * 0.9, p95, p99: p95 * 2 },
  stagesMs: { decode: 1, preproc: 1, infer: 1, postproc: 1 },
  coldStartMs: 10,
  rssBytes: rssMiB * 1024 * 1024,
  cpuTemperatureC: null,
  energyMj: null,
});
const facts = (change: Partial<GateFacts> = {}): GateFacts => ({
  reference: 'digits:1',
  metrics: { accuracy: 0.97, loss: 0.1 },
  benchmarks: [],
  packages: [],
  ...change,
});

describe('the gates of a text', () => {
  it('are its comparisons, whatever separates them', () => {
    const { gates, issues } = parseGates('Must run on a Pi 3.\np95Ms <= 30, rssMiB<=64; accuracy >= 0.95\n- P50MS < 1e1\ntest/f1 > .5');
    expect(gates.map(gateText)).toEqual(['p95Ms <= 30', 'rssMiB <= 64', 'accuracy >= 0.95', 'p50Ms < 10', 'f1 > 0.5']);
    expect(issues).toEqual([]);
  });

  it('are not found in prose', () => {
    expect(parseGates('at most 2 cameras, no cloud, battery lasts > 3 days; see https://example.org/a=1')).toEqual({
      gates: [],
      issues: [],
    });
  });

  it('that cannot be checked are told', () => {
    const { gates, issues } = parseGates('latency <= 30\np95Ms = 30\np95Ms <= 30 ms\naccuracy >= 0,95');
    expect(gates).toEqual([]);
    expect(issues).toHaveLength(4);
    expect(issues[0]).toContain('"latency <= 30" names a metric that nothing measures');
  });

  it('may be names alone where criteria are listed', () => {
    expect(parseGates(['accuracy', 'f1 >= 0.9', 'looks good'], { names: true }).gates.map(gateText)).toEqual(['accuracy', 'f1 >= 0.9']);
    expect(parseGates('accuracy').gates).toEqual([]);
  });

  it('come back from any text without a fault, and from what was written as it was meant', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseGates(text, { names: true })));
    const operators = fc.constantFrom('<=', '>=', '<', '>', '==');
    const number = fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1e6 });
    fc.assert(
      fc.property(operators, number, fc.constantFrom('\n', ', ', ';'), (operator, wanted, separator) => {
        const text = `prose here${separator}p95Ms ${operator} ${wanted}${separator}accuracy ${operator} ${wanted}`;
        expect(parseGates(text).gates).toEqual([
          { metric: 'p95Ms', operator, wanted },
          { metric: 'accuracy', operator, wanted },
        ]);
      }),
    );
  });
});

describe('a version', () => {
  const evaluate = (text: string, change: Partial<GateFacts> = {}) => evaluateGates(parseGates(text).gates, facts(change));

  it('passes by its own metrics', () => {
    expect(evaluate('accuracy >= 0.95')).toMatchObject([{ passed: true, value: 0.97, message: '0.97 on the test data' }]);
    expect(gateRefusal(evaluate('accuracy >= 0.95'), 'digits:1')).toBeNull();
    expect(gateRefusal(evaluate('accuracy >= 0.99'), 'digits:1')).toEqual({
      reason: 'GateNotPassed',
      message: 'digits:1 does not keep the constraints of its task: accuracy >= 0.99: 0.97 on the test data.',
    });
  });

  it('is judged by its worst device', () => {
    const benchmarks = [benchmark('fast', 10), benchmark('slow', 40, 70), benchmark('other', 20)];
    expect(evaluate('p95Ms <= 30, imagesPerS >= 10, rssMiB < 64', { benchmarks })).toMatchObject([
      { passed: false, value: 40, message: '40 on slow' },
      { passed: true, value: 25 },
      { passed: false, value: 70 },
    ]);
  });

  it('does not pass by what was not measured, and is told how to measure it', () => {
    const results = evaluate('p95Ms <= 30; packageMiB <= 4');
    expect(results.map((result) => result.passed)).toEqual([false, false]);
    expect(gateRefusal(results, 'digits:1')).toMatchObject({
      reason: 'GateNotMeasured',
      message: expect.stringContaining('selvedge bench digits:1'),
    });
  });

  it('passes exactly when every sample does', () => {
    const value = fc.double({ noNaN: true, min: 0.001, max: 1000 });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 10 }),
        value,
        fc.constantFrom('<=', '>=', '<', '>'),
        (values, wanted, operator) => {
          const benchmarks = values.map((p95, index) => benchmark(`d${index}`, p95));
          const [result] = evaluateGates([{ metric: 'p95Ms', operator, wanted }], facts({ benchmarks }));
          const check = {
            '<=': (v: number) => v <= wanted,
            '>=': (v: number) => v >= wanted,
            '<': (v: number) => v < wanted,
            '>': (v: number) => v > wanted,
          };
          expect(result?.passed).toBe(values.every(check[operator]));
        },
      ),
    );
  });
});
