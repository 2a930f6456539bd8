import { AppError } from '@selvedge/contract';

/** A decoded picture: rows from the top, pixels from the left, channels interleaved; grey (1), RGB (3) or RGBA (4), 0..255. */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  /** Exactly width * height * channels bytes. */
  readonly data: Uint8Array;
}

export type TensorLayout = 'HWC' | 'CHW';

/** One picture as float32, dense, in the given memory layout. */
export interface PixelTensor {
  readonly layout: TensorLayout;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Exactly height * width * channels values. */
  readonly data: Float32Array;
}

/**
 * How an op reads its input: value (y, x, c) is at `(y * width + x) * pixelStride + c * channelStride`.
 * With strides, a byte picture, a grey picture seen as RGB and both tensor layouts are read in place, without a copy.
 */
export interface PixelView {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Uint8Array | Float32Array;
  readonly pixelStride: number;
  readonly channelStride: number;
}

function isEdge(value: number): boolean {
  return Number.isInteger(value) && value >= 1;
}

/** The picture as the three channels R, G, B: alpha is skipped, a grey value is read three times. */
export function viewImage(image: RawImage): PixelView {
  const { width, height, channels, data } = image;
  if (!isEdge(width) || !isEdge(height) || data.length !== width * height * channels) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `A ${width}x${height} picture with ${channels} channel(s) needs ${width * height * channels} bytes and has ${data.length}`,
    });
  }
  return { height, width, channels: 3, data, pixelStride: channels, channelStride: channels === 1 ? 0 : 1 };
}

export function viewTensor(tensor: PixelTensor): PixelView {
  const { height, width, channels, data, layout } = tensor;
  if (!isEdge(width) || !isEdge(height) || !isEdge(channels) || data.length !== width * height * channels) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `A ${layout} tensor of ${width}x${height} pixels and ${channels} channel(s) needs ${width * height * channels} values and has ${data.length}`,
    });
  }
  const hwc = layout === 'HWC';
  return { height, width, channels, data, pixelStride: hwc ? channels : 1, channelStride: hwc ? 1 : height * width };
}

/** Copies a view into `out` (which has height * width * channels values) in the given layout; values are not changed. */
export function copyView(view: PixelView, layout: TensorLayout, out: Float32Array): void {
  const { data, channels, pixelStride, channelStride } = view;
  const pixels = view.height * view.width;
  const outPixelStride = layout === 'HWC' ? channels : 1;
  const outChannelStride = layout === 'HWC' ? 1 : pixels;
  for (let c = 0; c < channels; c++) {
    let from = c * channelStride;
    let to = c * outChannelStride;
    for (let p = 0; p < pixels; p++) {
      out[to] = data[from] ?? 0;
      from += pixelStride;
      to += outPixelStride;
    }
  }
}

/**
 * Turns a decoded picture into a float32 tensor, layout HWC, always three channels, values 0..255.
 *
 * A model's input must not depend on how a file happened to be encoded, so grey is repeated in R, G and B, and alpha is
 * dropped without compositing (the colour below a transparent pixel is what the file holds there).
 *
 * @throws AppError SHAPE_MISMATCH (user) when `data` does not have width * height * channels bytes.
 */
export function imageToTensor(image: RawImage): PixelTensor {
  const view = viewImage(image);
  const data = new Float32Array(view.height * view.width * view.channels);
  copyView(view, 'HWC', data);
  return { layout: 'HWC', height: view.height, width: view.width, channels: view.channels, data };
}
