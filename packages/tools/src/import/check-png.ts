import { crc32, inflateSync } from 'node:zlib';
import { MAX_IMAGE_PIXELS } from '@selvedge/graph/image';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Larger ones are left to the decoder, which works on another thread. */
const MAX_BYTES = 256 * 1024;
const MAX_RAW_BYTES = 4 * 1024 * 1024;
/** Samples per pixel by colour type: grey, RGB, palette, grey with alpha, RGBA. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const HIGHEST_FILTER = 4;

/**
 * The size of a small PNG that is whole: every checksum holds and the pixels unpack to exactly what the header says.
 *
 * A decoder for pictures takes ten times longer over a picture of a few hundred bytes, most of it for its set-up. Only a
 * "yes" is an answer here: anything else, damaged or just unusual (interlaced, animated), is for the decoder to judge.
 *
 * @see https://www.w3.org/TR/png-3/
 */
export function sizeOfWholePng(bytes: Buffer): { width: number; height: number } | undefined {
  if (bytes.length > MAX_BYTES || bytes.length < 57 || !bytes.subarray(0, 8).equals(SIGNATURE)) return undefined;
  const data: Buffer[] = [];
  let hasPalette = false;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const end = at + 12 + length;
    if (end > bytes.length || crc32(bytes.subarray(at + 4, end - 4)) !== bytes.readUInt32BE(end - 4)) return undefined;
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (at === 8 && (type !== 'IHDR' || length !== 13)) return undefined;
    if (type === 'IDAT') data.push(bytes.subarray(at + 8, end - 4));
    else if (type === 'PLTE') hasPalette = length > 0 && length % 3 === 0;
    else if (type === 'IEND') return checkPixels(bytes, data, hasPalette);
    else if (type === 'acTL' || (type !== 'IHDR' && isCritical(type))) return undefined;
    at = end;
  }
  return undefined;
}

/** A chunk that a decoder must understand: its first letter is a capital. */
function isCritical(type: string): boolean {
  return (type.charCodeAt(0) & 0x20) === 0;
}

function checkPixels(bytes: Buffer, data: readonly Buffer[], hasPalette: boolean): { width: number; height: number } | undefined {
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  const [depth = 0, colour = 0, compression, filter, interlace] = bytes.subarray(24, 29);
  const samples = SAMPLES[colour];
  if (samples === undefined || DEPTHS[colour]?.includes(depth) !== true || compression !== 0 || filter !== 0 || interlace !== 0)
    return undefined;
  // Colours of a palette may be out of its range, and a decoder may mind.
  if (hasPalette || colour === 3 || width === 0 || height === 0 || width * height > MAX_IMAGE_PIXELS) return undefined;
  const rowBytes = 1 + Math.ceil((width * samples * depth) / 8);
  if (rowBytes * height > MAX_RAW_BYTES) return undefined;
  let raw: Buffer;
  try {
    raw = inflateSync(data.length === 1 && data[0] !== undefined ? data[0] : Buffer.concat(data), { maxOutputLength: rowBytes * height });
  } catch {
    return undefined; // damaged: the decoder says how
  }
  if (raw.length !== rowBytes * height) return undefined;
  for (let row = 0; row < height; row += 1) if ((raw[row * rowBytes] ?? 0) > HIGHEST_FILTER) return undefined;
  return { width, height };
}
