import type { PreprocSpec, TensorSet } from '@selvedge/contract';
import type { SplitReader } from '../tensor-set/tensor-set-reader.ts';

/** Longer edge of a picture in the report, in pixels: smaller ones stay as they are, the page enlarges them. */
const MAX_EDGE_PX = 320;
const JPEG_QUALITY = 82;
/** Pictures of up to this many pixels are kept exactly. */
const MAX_PNG_PIXELS = 64 * 64;

export interface Picture {
  /** PNG or JPEG as a data URI. */
  readonly uri: string;
  /** Of the sample, in pixels: the boxes are in these. */
  readonly width: number;
  readonly height: number;
}

interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/**
 * Turns samples back into pictures to look at.
 *
 * @param preproc - of the pipeline: its value ops are undone. Without it the values are stretched to 0..255.
 */
export class SamplePictures {
  readonly #info: TensorSet;
  readonly #test: SplitReader;
  readonly #preproc: PreprocSpec | undefined;

  constructor(info: TensorSet, test: SplitReader, preproc: PreprocSpec | undefined) {
    this.#info = info;
    this.#test = test;
    this.#preproc = preproc;
  }

  /** @returns undefined for samples that are not pictures. */
  async read(sample: number): Promise<Picture | undefined> {
    const shape = shapeOf(this.#info);
    if (shape === undefined) return undefined;
    const pixels = toPixels(await this.#test.x.readRows(sample, 1), shape, this.#preproc);
    const { width, height } = pixels;
    return { uri: await encode(pixels), width, height };
  }
}

interface Shape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly pixelStride: number;
  readonly channelStride: number;
}

function shapeOf({ layout, sampleShape }: TensorSet): Shape | undefined {
  const [a = 1, b = 1, c = 1] = sampleShape;
  if (layout === 'vector' || sampleShape.length !== 3) return undefined;
  if (layout === 'HWC') return { height: a, width: b, channels: c, pixelStride: c, channelStride: 1 };
  return { height: b, width: c, channels: a, pixelStride: 1, channelStride: b * c };
}

function toPixels(values: Float32Array, shape: Shape, preproc: PreprocSpec | undefined): Pixels {
  const { height, width, channels, pixelStride, channelStride } = shape;
  const shown = channels >= 3 ? 3 : 1;
  const toByte = preproc === undefined ? stretched(values) : undone(preproc);
  const data = new Uint8ClampedArray(width * height * shown);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    for (let c = 0; c < shown; c += 1) {
      data[pixel * shown + c] = toByte(values[pixel * pixelStride + c * channelStride] ?? 0, c);
    }
  }
  return { data: new Uint8Array(data.buffer), width, height, channels: shown };
}

function stretched(values: Float32Array): (value: number) => number {
  const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return (value) => (high > low ? ((value - low) / (high - low)) * 255 : 128);
}

/** `scale` comes before `normalize` in every chain, so they are undone the other way round. */
function undone({ pipeline, params }: PreprocSpec): (value: number, channel: number) => number {
  const { mean = [0], std = [1] } = (pipeline.includes('normalize') ? params?.normalize : undefined) ?? {};
  const [low, high] = (pipeline.includes('scale') ? params?.scale : undefined) ?? [0, 255];
  return (value, channel) => {
    const scaled = value * (std[channel] ?? std[0] ?? 1) + (mean[channel] ?? mean[0] ?? 0);
    return ((scaled - low) / (high - low)) * 255;
  };
}

async function encode({ data, width, height, channels }: Pixels): Promise<string> {
  // Loaded with the first picture: the encoder is large, and a model without mistakes needs none.
  const { default: sharp } = await import('sharp');
  const raw = sharp(data, { raw: { width, height, channels } });
  const small = raw.resize({ width: MAX_EDGE_PX, height: MAX_EDGE_PX, fit: 'inside', withoutEnlargement: true });
  if (width * height <= MAX_PNG_PIXELS) return `data:image/png;base64,${(await small.png().toBuffer()).toString('base64')}`;
  return `data:image/jpeg;base64,${(await small.jpeg({ quality: JPEG_QUALITY }).toBuffer()).toString('base64')}`;
}
