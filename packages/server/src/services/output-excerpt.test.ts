import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutputExcerpt } from './output-excerpt.ts';

describe('OutputExcerpt', () => {
  it('keeps all that fits, else the two ends, and never more than its bound', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 80 }), { maxLength: 20 }),
        fc.integer({ min: 80, max: 600 }),
        (parts, max) => {
          const excerpt = new OutputExcerpt(max);
          for (const part of parts) excerpt.add(new TextEncoder().encode(part));
          const all = parts.join('');
          const text = excerpt.text();
          expect(text.length).toBeLessThanOrEqual(max);
          const half = Math.floor((max - 64) / 2);
          if (all.length <= 2 * half) {
            expect(text).toBe(all);
            return;
          }
          expect(text.startsWith(all.slice(0, half))).toBe(true);
          expect(text.endsWith(`[${all.length - 2 * half} bytes left out]\n${half === 0 ? '' : all.slice(-half)}`)).toBe(true);
        },
      ),
    );
  });
});
