import { decodeImage } from '@selvedge/graph/image';
import * as fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodePng } from './encode-png.ts';

describe('encodePng', () => {
  it('makes a one-channel PNG that decodes to the same values', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.infiniteStream(fc.nat(255)),
        async (width, height, values) => {
          const pixels = Uint8Array.from({ length: width * height }, () => values.next().value ?? 0);
          const png = encodePng(pixels, { width, height, channels: 1 });
          expect(await sharp(png).metadata()).toMatchObject({ format: 'png', width, height, channels: 1, depth: 'uchar' });
          const image = await decodeImage(png);
          expect([...image.data].filter((_, i) => i % 3 === 0)).toEqual([...pixels]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('keeps the three values of colours', async () => {
    const pixels = Uint8Array.from({ length: 2 * 3 * 3 }, (_, i) => i * 11);
    const image = await decodeImage(encodePng(pixels, { width: 2, height: 3, channels: 3 }));
    expect(image).toMatchObject({ width: 2, height: 3 });
    expect([...image.data]).toEqual([...pixels]);
  });

  it('gives the same bytes for the same picture', () => {
    const pixels = Uint8Array.of(0, 1, 2, 3);
    const size = { width: 2, height: 2, channels: 1 } as const;
    expect(encodePng(pixels, size).equals(encodePng(pixels, size))).toBe(true);
  });
});
