import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRange } from './send-file.ts';

describe('parseRange', () => {
  it('gives ranges within the file only', () => {
    const number = fc.option(fc.nat(30), { nil: undefined });
    fc.assert(
      fc.property(number, number, fc.nat(20), (first, last, size) => {
        const range = parseRange(`bytes=${first ?? ''}-${last ?? ''}`, size);
        if (range === undefined || range === 'unsatisfiable') return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeGreaterThanOrEqual(range.start);
        expect(range.end).toBeLessThan(size);
      }),
    );
  });

  it.each([
    [undefined, undefined],
    ['bytes=0-0,2-3', undefined],
    ['bytes=-', undefined],
    ['bytes=3-1', undefined],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=4-', { start: 4, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-30', { start: 0, end: 9 }],
  ])('reads %j of ten bytes', (header, expected) => expect(parseRange(header, 10)).toEqual(expected));
});
