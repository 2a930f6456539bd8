import { decodeImage } from '@selvedge/graph/image';
import * as fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodeGreyPng } from './encode-png.ts';

describe('encodeGreyPng', () => {
  it('makes a one-channel PNG that decodes to the same values', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.infiniteStream(fc.nat(255)),
        async (width, height, values) => {
          const pixels = Uint8Array.from({ length: width * height }, () => values.next().value ?? 0);
          const png = encodeGreyPng(pixels, width, height);
          expect(await sharp(png).metadata()).toMatchObject({ format: 'png', width, height, channels: 1, depth: 'uchar' });
          const image = await decodeImage(png);
          expect([...image.data].filter((_, i) => i % 3 === 0)).toEqual([...pixels]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('gives the same bytes for the same picture', () => {
    const pixels = Uint8Array.of(0, 1, 2, 3);
    expect(encodeGreyPng(pixels, 2, 2).equals(encodeGreyPng(pixels, 2, 2))).toBe(true);
  });
});
