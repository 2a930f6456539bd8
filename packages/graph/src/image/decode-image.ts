import { AppError } from '@selvedge/contract';
import type { RawImage } from '../ops/pixel-tensor.ts';

/** Largest encoded picture, in bytes. */
export const MAX_IMAGE_BYTES = 64 * 1024 * 1024;
/** Largest picture after decoding, width x height: 150 MB of RGB. */
export const MAX_IMAGE_PIXELS = 50_000_000;
/** File name endings of what `decodeImage` reads. */
export const IMAGE_EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp'] as const;

type Sharp = typeof import('sharp').default;

/** Loaded at the first picture: the decoder costs some 20 MB that an idle process need not hold. */
async function loadSharp(): Promise<Sharp> {
  try {
    const { default: sharp } = await import('sharp');
    // Small pictures, one at a time, each seen once: neither threads nor a cache gain anything here.
    sharp.concurrency(1);
    sharp.cache(false);
    return sharp;
  } catch (cause) {
    throw new AppError(
      'SETUP_INCOMPLETE',
      { message: 'The image decoder could not be loaded.', hint: 'Install the package sharp for this platform.' },
      { cause },
    );
  }
}

/** The kind, by the first bytes. The decoder itself would also open SVG, PDF and more, which may refer to other files. */
function kindOf(bytes: Uint8Array): 'jpeg' | 'png' | 'webp' | undefined {
  const at = (offset: number, ...expected: number[]) => expected.every((byte, i) => bytes[offset + i] === byte);
  if (at(0, 0xff, 0xd8, 0xff)) return 'jpeg';
  if (at(0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png';
  return at(0, 0x52, 0x49, 0x46, 0x46) && at(8, 0x57, 0x45, 0x42, 0x50) ? 'webp' : undefined;
}

/**
 * Decodes a JPEG, PNG or WebP picture to 8-bit RGB, on the server and on the device alike: a model must see the same
 * values wherever it runs.
 *
 * Only the stored pixels count. The EXIF orientation is not applied and embedded colour profiles are ignored; alpha is
 * dropped without compositing; grey is repeated in R, G and B; 16 bits per channel become 8; CMYK becomes RGB.
 *
 * @param bytes - the encoded file, at most MAX_IMAGE_BYTES.
 * @returns channels 3, data of exactly width * height * 3 bytes, rows from the top.
 * @throws AppError IMAGE_UNREADABLE (user) for other kinds, damaged or cut files, animations, and pictures beyond the limits;
 * SETUP_INCOMPLETE when the decoder is not installed.
 */
export async function decodeImage(bytes: Uint8Array): Promise<RawImage> {
  if (bytes.length > MAX_IMAGE_BYTES) throw unreadable(`it has more than ${MAX_IMAGE_BYTES} bytes`);
  const kind = kindOf(bytes);
  if (kind === undefined) throw unreadable('it is not a JPEG, PNG or WebP file');
  const sharp = await loadSharp();
  try {
    const image = sharp(bytes, { limitInputPixels: MAX_IMAGE_PIXELS, failOn: 'truncated', ignoreIcc: true, pages: 1 });
    // Of the three, only WebP has frames for the decoder; reading the metadata of each picture costs as much as decoding a small one.
    if (kind === 'webp' && ((await image.metadata()).pages ?? 1) > 1) throw unreadable('it is an animation');
    const { data, info } = await image.removeAlpha().toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw unreadable(`it decodes to ${info.channels} channels`);
    return { width: info.width, height: info.height, channels: 3, data };
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw unreadable(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error), error);
  }
}

function unreadable(why: string, cause?: unknown): AppError {
  return new AppError(
    'IMAGE_UNREADABLE',
    { message: `The picture cannot be decoded: ${why}.`, hint: 'Send a JPEG, PNG or WebP picture.' },
    { cause },
  );
}
