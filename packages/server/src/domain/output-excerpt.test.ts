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
          if (all.length <= max - 65) expect(text).toBe(all);
          const half = Math.floor((max - 64) / 2);
          expect(text.slice(0, half)).toBe(all.slice(0, half));
          expect(text.slice(-Math.min(half, Math.max(0, all.length - half)) || text.length)).toBe(
            all.length > half ? all.slice(-Math.min(half, all.length - half)) : text,
          );
        },
      ),
    );
  });
});
