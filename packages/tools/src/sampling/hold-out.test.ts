import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseHoldOut } from './hold-out.ts';

const sets = fc.uniqueArray(fc.record({ key: fc.string(), label: fc.integer({ min: 0, max: 4 }) }), {
  selector: (sample) => sample.key,
  maxLength: 60,
});
const shares = fc.double({ min: 0.01, max: 0.99, noNaN: true });

describe('chooseHoldOut', () => {
  it('does not depend on the order of the samples', () => {
    fc.assert(
      fc.property(sets, shares, fc.nat(), (samples, share, seed) => {
        const one = chooseHoldOut(samples, share, seed);
        const other = chooseHoldOut([...samples].reverse(), share, seed);
        expect([...other].sort()).toEqual([...one].sort());
      }),
    );
  });

  it('takes the share of every class, and leaves something of it', () => {
    fc.assert(
      fc.property(sets, shares, fc.nat(), (samples, share, seed) => {
        const chosen = chooseHoldOut(samples, share, seed);
        for (let label = 0; label <= 4; label += 1) {
          const keys = samples.filter((sample) => sample.label === label).map((sample) => sample.key);
          const taken = keys.filter((key) => chosen.has(key)).length;
          if (keys.length < 2) expect(taken).toBe(0);
          else {
            expect(Math.abs(taken - keys.length * share)).toBeLessThanOrEqual(1);
            expect(taken).toBeLessThan(keys.length);
            expect(taken).toBeGreaterThan(0);
          }
        }
      }),
    );
  });

  it('chooses nothing at share 0 and something else with another seed', () => {
    const samples = Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, label: 0 }));
    expect(chooseHoldOut(samples, 0, 1).size).toBe(0);
    expect([...chooseHoldOut(samples, 0.2, 1)]).not.toEqual([...chooseHoldOut(samples, 0.2, 2)]);
  });
});
