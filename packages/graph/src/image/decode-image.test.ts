import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from './index.ts';

const raw = (data: number[], width: number, height: number, channels: 1 | 2 | 3 | 4) =>
  sharp(Buffer.from(data), { raw: { width, height, channels } });

describe('decodeImage', () => {
  it('gives the stored RGB values of a colour PNG', async () => {
    const png = await raw([1, 2, 3, 250, 251, 252], 2, 1, 3).png().toBuffer();
    const image = await decodeImage(png);
    expect(image).toMatchObject({ width: 2, height: 1, channels: 3 });
    expect([...image.data]).toEqual([1, 2, 3, 250, 251, 252]);
  });

  it('repeats grey in three channels without changing the values', async () => {
    const values = Array.from({ length: 256 }, (_, i) => i);
    const png = await raw(values, 16, 16, 1).toColourspace('b-w').png().toBuffer();
    expect((await sharp(png).metadata()).channels).toBe(1);
    const image = await decodeImage(png);
    expect([...image.data]).toEqual(values.flatMap((value) => [value, value, value]));
  });

  it('drops alpha and keeps the colour below it', async () => {
    const png = await raw([10, 20, 30, 0, 40, 50, 60, 128], 2, 1, 4).png().toBuffer();
    expect([...(await decodeImage(png)).data]).toEqual([10, 20, 30, 40, 50, 60]);
    const greyAlpha = await raw([7, 0, 200, 128], 2, 1, 2).toColourspace('b-w').png().toBuffer();
    expect([...(await decodeImage(greyAlpha)).data]).toEqual([7, 7, 7, 200, 200, 200]);
  });

  it('makes 8 bits of 16', async () => {
    const png = await raw([0, 100, 255], 3, 1, 1).toColourspace('grey16').png().toBuffer();
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    expect([...(await decodeImage(png)).data]).toEqual([0, 0, 0, 100, 100, 100, 255, 255, 255]);
  });

  it('does not turn a picture by its EXIF orientation', async () => {
    const jpeg = await sharp({ create: { width: 8, height: 4, channels: 3, background: '#808080' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    expect(await decodeImage(jpeg)).toMatchObject({ width: 8, height: 4 });
  });

  it('ignores an embedded colour profile', async () => {
    const pixels = [200, 10, 10, 10, 200, 10, 10, 10, 200];
    const tagged = await raw(pixels, 3, 1, 3).keepIccProfile().withIccProfile('p3').png().toBuffer();
    const stored = await sharp(tagged, { ignoreIcc: true }).raw().toBuffer();
    expect([...(await decodeImage(tagged)).data]).toEqual([...stored]);
  });

  it('converts CMYK', async () => {
    const jpeg = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#ffffff' } })
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer();
    const image = await decodeImage(jpeg);
    expect(image.channels).toBe(3);
    expect(image.data[0]).toBeGreaterThan(240);
  });

  it('reads JPEG and WebP', async () => {
    const base = sharp({ create: { width: 5, height: 3, channels: 3, background: '#102030' } });
    expect(await decodeImage(await base.clone().jpeg().toBuffer())).toMatchObject({ width: 5, height: 3 });
    expect([...(await decodeImage(await base.clone().webp({ lossless: true }).toBuffer())).data.slice(0, 3)]).toEqual([0x10, 0x20, 0x30]);
  });

  it.each([
    ['nothing', async () => Buffer.alloc(0)],
    ['text', async () => Buffer.from('not a picture')],
    ['an SVG', async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>')],
    [
      'a cut PNG',
      async () =>
        (
          await sharp({ create: { width: 64, height: 64, channels: 3, background: 'red' } })
            .png()
            .toBuffer()
        ).subarray(0, 90),
    ],
    [
      'a cut JPEG',
      async () => {
        const noise = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 256));
        const jpeg = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
          .jpeg()
          .toBuffer();
        return jpeg.subarray(0, jpeg.length / 2);
      },
    ],
    ['an animation', animatedWebp],
    [
      'more pixels than allowed',
      async () =>
        sharp({ create: { width: 10_000, height: 5_001, channels: 3, background: 'red' } })
          .png()
          .toBuffer(),
    ],
  ])('refuses %s with IMAGE_UNREADABLE', async (_what, make) => {
    await expect(decodeImage(await make())).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE' });
  });
});

async function animatedWebp(): Promise<Buffer> {
  const frames = Buffer.concat([Buffer.alloc(4 * 4 * 3, 10), Buffer.alloc(4 * 4 * 3, 200)]);
  return sharp(frames, { raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } })
    .webp()
    .toBuffer();
}
