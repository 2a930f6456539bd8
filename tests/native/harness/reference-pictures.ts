import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeImage } from '@selvedge/graph/image';
import sharp, { type Sharp } from 'sharp';

type Channels = 1 | 2 | 3 | 4;

/** Smooth waves with a little noise, as photographs have them; the same values every time. */
function pixels(width: number, height: number, channels: Channels): Buffer {
  let state = width * 31 + height * 7 + channels;
  const noise = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) / 0x100_0000 - 0.5;
  };
  return Buffer.from(
    Array.from({ length: width * height * channels }, (_, i) => {
      const x = Math.floor(i / channels) % width;
      const y = Math.floor(i / channels / width);
      const wave = 70 * Math.sin(x / 17 + (i % channels)) + 50 * Math.cos(y / 23 - (i % channels));
      return Math.min(255, Math.max(0, Math.round(128 + wave + 16 * noise())));
    }),
  );
}

const picture = (width: number, height: number, channels: Channels): Sharp =>
  sharp(pixels(width, height, channels), { raw: { width, height, channels } });

/** 16-bit grey or RGB, most values not a multiple of 257. */
function deep(width: number, height: number, channels: 1 | 3): Sharp {
  const values = Uint16Array.from({ length: width * height * channels }, (_, i) => (i * 7919 + 13) % 65_536);
  return sharp(values, { raw: { width, height, channels } }).toColourspace(channels === 1 ? 'grey16' : 'rgb16');
}

async function firstHalf(encoder: Sharp): Promise<Buffer> {
  const bytes = await encoder.toBuffer();
  return bytes.subarray(0, bytes.length / 2);
}

const READABLE: Record<string, () => Promise<Buffer>> = {
  '420.jpg': () => picture(321, 241, 3).jpeg({ quality: 90 }).toBuffer(),
  '444.jpg': () => picture(100, 75, 3).jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer(),
  'low.jpg': () => picture(160, 120, 3).jpeg({ quality: 30 }).toBuffer(),
  'grey.jpg': () => picture(67, 45, 1).toColourspace('b-w').jpeg().toBuffer(),
  'progressive.jpg': () => picture(131, 97, 3).jpeg({ progressive: true }).toBuffer(),
  'tiny.jpg': () => picture(1, 1, 3).jpeg().toBuffer(),
  'turned.jpg': () => picture(40, 24, 3).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
  'rgb.png': () => picture(61, 47, 3).png().toBuffer(),
  'rgba.png': () => picture(33, 21, 4).png().toBuffer(),
  'grey.png': () => picture(50, 20, 1).toColourspace('b-w').png().toBuffer(),
  'grey-alpha.png': () => picture(19, 23, 2).toColourspace('b-w').png().toBuffer(),
  'palette.png': () => picture(64, 40, 3).png({ palette: true, colours: 16 }).toBuffer(),
  'palette-alpha.png': () => picture(64, 40, 4).png({ palette: true, colours: 32 }).toBuffer(),
  'interlaced.png': () => picture(45, 37, 3).png({ progressive: true }).toBuffer(),
  'bilevel.png': () => picture(45, 37, 1).threshold(120).toColourspace('b-w').png({ palette: true, colours: 2 }).toBuffer(),
  'grey-16.png': () => deep(37, 29, 1).png().toBuffer(),
  'rgb-16.png': () => deep(31, 17, 3).png().toBuffer(),
};

const UNREADABLE: Record<string, () => Promise<Buffer>> = {
  'cmyk.jpg': () => picture(16, 16, 3).toColourspace('cmyk').jpeg().toBuffer(),
  'cut.jpg': () => firstHalf(picture(64, 64, 3).jpeg()),
  'text.jpg': async () => Buffer.from('not a picture'),
  'cut.png': () => firstHalf(picture(64, 64, 3).png()),
  'signature.png': async () => Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
};

/**
 * Writes the pictures that native/tests/image_test.cc reads: NAME and NAME.rgb, the reference decoder's pixels after width
 * and height as 32-bit little-endian numbers; without the latter, pictures that must be refused.
 *
 * @returns names of the pictures that can be read.
 */
export async function writeReferencePictures(folder: string): Promise<string[]> {
  for (const [name, make] of Object.entries(UNREADABLE)) await writeFile(join(folder, name), await make());
  for (const [name, make] of Object.entries(READABLE)) {
    const bytes = await make();
    const { width, height, data } = await decodeImage(bytes);
    const header = Buffer.alloc(8);
    header.writeUInt32LE(width, 0);
    header.writeUInt32LE(height, 4);
    await writeFile(join(folder, name), bytes);
    await writeFile(join(folder, `${name}.rgb`), Buffer.concat([header, data]));
  }
  return Object.keys(READABLE);
}
