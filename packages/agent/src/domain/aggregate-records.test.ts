import { describe, expect, it } from 'vitest';
import { aggregateRecords, LEVEL_MS, totalWeight } from './aggregate-records.ts';
import { formatRecord, type KeptRecord, parseRecords, valuesOf } from './spool-lines.ts';

const MINUTE = 60_000;

function sample(sequence: number, atMs: number, cpu: number | null = 0.5): KeptRecord {
  return { kind: 'sample', sequence, atMs, values: valuesOf([cpu, 100, 200, 300, 400, null, sequence * 10, sequence, 50]), summary: null };
}

function results(sequence: number, atMs: number, more: object = {}): KeptRecord {
  const counted = {
    requests: 10,
    errors: 1,
    p50Ms: 2,
    p95Ms: 4,
    latency: [
      [1, 0],
      [2, 5],
      [4, 4],
      [null, 0],
    ] as [number | null, number][],
  };
  const what = { workload: 'w', model: 'm', version: '1', spanS: 300, confidence: [0, 0, 0, 0, 0, 0, 0, 0, 0, 9] };
  return { kind: 'results', sequence, atMs, results: { ...what, ...counted, classes: [['a', 9]], ...more } };
}

const one = () => '';

describe('records that are put together', () => {
  it('have mean, least and greatest, and the last of what only grows', () => {
    const records = [sample(1, 0, 0.1), sample(2, MINUTE, null), sample(3, 2 * MINUTE, 0.7), sample(4, 11 * MINUTE)];
    const [first, second, ...rest] = aggregateRecords(records, 1, one);
    expect(rest).toEqual([]);
    expect(first).toMatchObject({ sequence: 3, atMs: 0, summary: { count: 3, spanMs: 2 * MINUTE, min: { cpu: 0.1 }, max: { cpu: 0.7 } } });
    expect(first).toMatchObject({ values: { networkRxBytes: 30, networkTxBytes: 3, memoryUsedBytes: 100, temperatureC: null } });
    expect(second).toEqual(sample(4, 11 * MINUTE));
  });

  it('stay apart by zone, by version, and where the clock was set back', () => {
    const zones = aggregateRecords(
      [1, 2, 3, 4].map((n) => sample(n, n)),
      1,
      (sequence) => (sequence < 3 ? 'a' : 'b'),
    );
    expect(zones.map(({ sequence }) => sequence)).toEqual([2, 4]);
    const versions = aggregateRecords([results(1, 0), results(2, 1, { version: '2' }), results(3, 2)], 1, one);
    expect(versions).toMatchObject([{ sequence: 2 }, { sequence: 3, results: { version: '1', requests: 20 } }]);
    const back = aggregateRecords([sample(1, 0), sample(2, 20 * MINUTE), sample(3, MINUTE)], 1, one);
    expect(back.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  it('add what models answered', () => {
    const [made] = aggregateRecords(
      [
        results(1, 0),
        results(2, 5 * MINUTE, {
          classes: [['b', 20]],
          latency: [
            [2, 0],
            [8, 9],
          ],
        }),
      ],
      1,
      one,
    );
    expect(made).toMatchObject({
      sequence: 2,
      results: {
        ...{ spanS: 600, requests: 20, errors: 2, confidence: [0, 0, 0, 0, 0, 0, 0, 0, 0, 18] },
        latency: [
          [1, 0],
          [2, 5],
          [4, 4],
          [8, 9],
          [null, 0],
        ],
        classes: [
          ['b', 20],
          ['a', 9],
        ],
      },
    });
    expect(made?.kind === 'results' && made.results.p50Ms).toBe(4);
  });

  it.each([1, 2, 3, 4, 5])('lose nothing and invent nothing on the way up, also as lines (seed %i)', async (seed) => {
    let state = seed;
    const random = () => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state / 2 ** 31;
    };
    let atMs = 0;
    let records: KeptRecord[] = Array.from({ length: 3000 }, (_, index) => {
      atMs += Math.round(random() * 3 * MINUTE) - (random() < 0.01 ? 90 * MINUTE : 0);
      return sample(index + 1, Math.max(0, atMs), random() < 0.1 ? null : Math.round(random() * 1e4) / 1e4);
    });
    const before = totalWeight(records);
    for (const level of LEVEL_MS.keys()) {
      const made = aggregateRecords(records, level, (sequence) => String(Math.floor(sequence / 700)));
      expect(totalWeight(made)).toBe(before);
      expect(made.length).toBeLessThanOrEqual(records.length);
      const sequences = made.map(({ sequence }) => sequence);
      expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b));
      records = await parseRecords(made.map(formatRecord));
      expect(records).toHaveLength(made.length);
    }
    expect(records.length).toBeLessThan(60);
  });
});
