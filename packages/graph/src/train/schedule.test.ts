import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchesPerEpoch, epochBatches } from './batches.ts';
import { learningRateAt } from './learning-rate.ts';

const run = { lr: 0.1, epochs: 4, stepsPerEpoch: 10 };
const rate = (schedule: Parameters<typeof learningRateAt>[0], step: number) => learningRateAt(schedule, { ...run, step });

describe('learningRateAt', () => {
  it('stays where it is without a schedule', () => {
    expect(rate(undefined, 0)).toBe(0.1);
    expect(rate({ type: 'constant' }, 39)).toBe(0.1);
  });

  it('is multiplied by gamma every so many epochs', () => {
    const schedule = { type: 'step', every: 2, gamma: 0.5 } as const;
    expect([0, 19, 20, 39].map((step) => rate(schedule, step))).toEqual([0.1, 0.1, 0.05, 0.05]);
  });

  it('rises over the warm-up, then falls to nearly nothing', () => {
    const schedule = { type: 'cosine', warmup_epochs: 1 } as const;
    expect(rate(schedule, 0)).toBeCloseTo(0.01);
    expect(rate(schedule, 9)).toBeCloseTo(0.1);
    expect(rate(schedule, 25)).toBeCloseTo(0.05);
    expect(rate(schedule, 39)).toBeLessThan(0.001);
    expect(rate(schedule, 39)).toBeGreaterThan(0);
  });

  it('stays between 0 and lr whatever the step', () => {
    const schedules = fc.oneof(
      fc.constant(undefined),
      fc.record({ type: fc.constant('cosine' as const), warmup_epochs: fc.double({ min: 0, max: 10, noNaN: true }) }),
      fc.record({
        type: fc.constant('step' as const),
        every: fc.integer({ min: 1, max: 9 }),
        gamma: fc.double({ min: 0.01, max: 1, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(
        schedules,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 0, max: 2000 }),
        (schedule, epochs, stepsPerEpoch, step) => {
          const value = learningRateAt(schedule, { lr: 0.1, epochs, stepsPerEpoch, step });
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(0.1);
        },
      ),
    );
  });
});

describe('epochBatches', () => {
  it('gives every sample, fills the last batch from the start, and always the same way', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.nat(100),
        (count, batchSize, seed, epoch) => {
          const batches = [...epochBatches({ count, batchSize, seed, epoch })];
          expect(batches.length).toBe(batchesPerEpoch(count, batchSize));
          expect(batches.every((batch) => batch.length === batchSize)).toBe(true);
          const all = batches.flatMap((batch) => [...batch]);
          expect(new Set(all.slice(0, count)).size).toBe(count);
          expect(all.slice(count)).toEqual(all.slice(0, all.length - count));
          expect([...epochBatches({ count, batchSize, seed, epoch })]).toEqual(batches);
        },
      ),
    );
  });

  it('has another order in each epoch and for each seed', () => {
    const order = (seed: number, epoch: number) => [...epochBatches({ count: 50, batchSize: 50, seed, epoch })].join();
    expect(new Set([order(1, 0), order(1, 1), order(2, 0), order(0, 1)]).size).toBe(4);
  });
});
