import type { SweepChild, SweepSpec } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawsOf, planSweep, roundsOf } from './sweep-plan.ts';

const grid: SweepSpec = { method: 'grid', parameters: { lr: [0.1, 0.01], batch_size: [8, 16, 32] }, metric: 'accuracy' };
const halving: SweepSpec = {
  method: 'halving',
  parameters: { lr: { min: 1e-4, max: 1, log: true } },
  runs: 9,
  metric: 'accuracy',
  factor: 3,
};

/** Runs a sweep to its end; `value` is what a run with these parameters gets. */
function simulate(sweep: SweepSpec, epochs: number, value: (parameters: SweepChild['parameters'], index: number) => number | null) {
  const children: SweepChild[] = [];
  let mostActive = 0;
  for (let round = 0; round < 500; round += 1) {
    const plan = planSweep(sweep, { epochs }, children);
    if (plan.isDone) return { children, plan, mostActive };
    for (const { index, parameters } of plan.start) {
      expect(index).toBe(children.length + 1);
      children.push({ run: `r.s${index}`, parameters, phase: 'Running', value: null });
    }
    mostActive = Math.max(mostActive, children.filter((child) => child.phase === 'Running').length);
    const at = children.findIndex((child) => child.phase === 'Running');
    const child = children[at];
    if (child === undefined) continue;
    const got = value(child.parameters, at);
    children[at] = { ...child, phase: got === null ? 'Failed' : 'Succeeded', value: got };
  }
  throw new Error('the sweep does not end');
}

describe('a sweep', () => {
  it('goes over every point of a grid once', () => {
    expect(drawsOf(grid)).toHaveLength(6);
    expect(new Set(drawsOf(grid).map((draw) => JSON.stringify(draw))).size).toBe(6);
    const { children, plan } = simulate(grid, 3, ({ lr, batch_size }) => Number(lr) * Number(batch_size));
    expect(children).toHaveLength(6);
    expect(plan.best).toEqual({
      run: children.find((child) => child.parameters.lr === 0.1 && child.parameters.batch_size === 32)?.run,
      value: 3.2,
    });
  });

  it('draws the same for the same seed, within the ranges', () => {
    const parameters = { lr: { min: 1e-4, max: 1e-1, log: true }, batch_size: { min: 8, max: 64, integer: true } };
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const sweep: SweepSpec = { method: 'random', parameters, runs: 20, metric: 'm', seed };
        const draws = drawsOf(sweep);
        expect(drawsOf(sweep)).toEqual(draws);
        for (const { lr, batch_size } of draws) {
          expect(lr).toBeGreaterThanOrEqual(1e-4);
          expect(lr).toBeLessThanOrEqual(1e-1);
          expect(Number.isInteger(batch_size)).toBe(true);
        }
      }),
    );
  });

  it('gives the best of a halving more epochs, up to all of them', () => {
    expect(roundsOf(halving, 27)).toEqual([
      { epochs: 3, runs: 9 },
      { epochs: 9, runs: 3 },
      { epochs: 27, runs: 1 },
    ]);
    expect(roundsOf(halving, 2)).toEqual([{ epochs: 2, runs: 9 }]);
    const { children, plan } = simulate(halving, 27, ({ lr }) => 1 - Number(lr));
    expect(children.map((child) => child.parameters.epochs)).toEqual([...Array(9).fill(3), ...Array(3).fill(9), 27]);
    const smallest = Math.min(...children.map((child) => Number(child.parameters.lr)));
    expect(children.at(-1)?.parameters.lr).toBe(smallest);
    expect(plan.best?.run).toBe('r.s13');
  });

  it('ends whatever fails, never has more at work than it may, and says when nothing came of it', () => {
    const sweeps = fc.record({
      method: fc.constantFrom('random' as const, 'halving' as const),
      runs: fc.integer({ min: 1, max: 20 }),
      parallel: fc.integer({ min: 1, max: 5 }),
      goal: fc.constantFrom('maximize' as const, 'minimize' as const),
    });
    fc.assert(
      fc.property(
        sweeps,
        fc.integer({ min: 1, max: 30 }),
        fc.array(fc.option(fc.float({ noNaN: true })), { minLength: 40, maxLength: 40 }),
        (some, epochs, values) => {
          const sweep: SweepSpec = { ...some, parameters: { lr: { min: 0, max: 1 } }, metric: 'm' };
          const { children, plan, mostActive } = simulate(sweep, epochs, (_, index) => values[index % values.length] ?? null);
          expect(mostActive).toBeLessThanOrEqual(some.parallel);
          expect(plan.best === null).toBe(children.every((child) => child.value === null));
          expect(plan.total).toBe(children.length);
        },
      ),
    );
  });
});
