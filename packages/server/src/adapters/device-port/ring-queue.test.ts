import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RingQueue } from './ring-queue.ts';

describe('RingQueue', () => {
  it('behaves as an array does under push and shift', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer()), { maxLength: 600 }), (steps) => {
        const ring = new RingQueue<number>();
        const array: number[] = [];
        for (const step of steps) {
          if (step === null) expect(ring.shift()).toBe(array.shift());
          else expect(ring.push(step)).toBe(array.push(step));
          expect(ring.length).toBe(array.length);
        }
      }),
    );
  });
});
