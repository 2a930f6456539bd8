import { decodeImage } from '@selvedge/graph/image';
import * as fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { sizeOfWholePng } from './check-png.ts';

const noise = (width: number, height: number, channels: 1 | 2 | 3 | 4) =>
  sharp(Buffer.from(Array.from({ length: width * height * channels }, (_, i) => (i * 7919) % 256)), { raw: { width, height, channels } });

describe('sizeOfWholePng', () => {
  it.each([1, 2, 3, 4] as const)('knows the size of a picture with %i channels', async (channels) => {
    expect(sizeOfWholePng(await noise(13, 7, channels).png().toBuffer())).toEqual({ width: 13, height: 7 });
  });

  it('leaves what is unusual to the decoder', async () => {
    expect(sizeOfWholePng(await noise(8, 8, 3).png({ progressive: true }).toBuffer())).toBeUndefined();
    expect(sizeOfWholePng(await noise(8, 8, 3).png({ palette: true }).toBuffer())).toBeUndefined();
    expect(sizeOfWholePng(await noise(8, 8, 3).jpeg().toBuffer())).toBeUndefined();
  });

  it('says yes to nothing that the decoder refuses', async () => {
    const whole = await noise(9, 9, 3).png().toBuffer();
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), async (at, value, cut) => {
        const bytes = Buffer.from(cut ? whole.subarray(0, at) : whole);
        if (!cut) bytes[at] = value;
        const size = sizeOfWholePng(bytes);
        if (size !== undefined) expect(await decodeImage(bytes)).toMatchObject(size);
      }),
      { numRuns: 60 },
    );
  });
});
