import { AppError } from '@selvedge/contract';
import { copyView, type PixelTensor, type PixelView, viewTensor } from './pixel-tensor.ts';

/** [height, width] in pixels. */
export type Size = readonly [height: number, width: number];

/** ITU-R BT.601-7, 2.5.1: the luma weights of R, G and B, each rounded to float32. */
const LUMA_WEIGHTS = [Math.fround(0.299), Math.fround(0.587), Math.fround(0.114)] as const;

/** What Ultralytics YOLO fills with; models trained there expect it. */
export const LETTERBOX_FILL = 114;

/**
 * Where each output pixel of one axis reads. With exact integers, so that every implementation gets the same bits:
 * `n = clamp((2 i + 1) * input - output, 0, 2 * output * (input - 1))`, `low = n div (2 * output)`,
 * `high = min(low + 1, input - 1)`, `weight = float32((n mod (2 * output)) / (2 * output))`.
 */
interface AxisTaps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Float32Array;
}

function axisTaps(input: number, output: number): AxisTaps {
  const low = new Int32Array(output);
  const high = new Int32Array(output);
  const weight = new Float32Array(output);
  const unit = 2 * output;
  for (let i = 0; i < output; i++) {
    const n = Math.min(Math.max((2 * i + 1) * input - output, 0), unit * (input - 1));
    const rest = n % unit;
    const index = (n - rest) / unit;
    low[i] = index;
    high[i] = Math.min(index + 1, input - 1);
    weight[i] = rest / unit;
  }
  return { low, high, weight };
}

/** Part of an HWC buffer that is `rowPixels` pixels wide. */
interface Window {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
  readonly rowPixels: number;
}

function resizeIntoWindow(view: PixelView, out: Float32Array, window: Window): void {
  const { data, width, channels, pixelStride, channelStride } = view;
  const fround = Math.fround;
  const rows = axisTaps(view.height, window.height);
  const columns = axisTaps(width, window.width);
  const rowStride = width * pixelStride;
  for (let y = 0; y < window.height; y++) {
    const upper = (rows.low[y] ?? 0) * rowStride;
    const lower = (rows.high[y] ?? 0) * rowStride;
    const wy = rows.weight[y] ?? 0;
    let to = ((window.top + y) * window.rowPixels + window.left) * channels;
    for (let x = 0; x < window.width; x++) {
      const left = (columns.low[x] ?? 0) * pixelStride;
      const right = (columns.high[x] ?? 0) * pixelStride;
      const wx = columns.weight[x] ?? 0;
      for (let c = 0; c < channels; c++) {
        const shift = c * channelStride;
        const a = data[upper + left + shift] ?? 0;
        const b = data[upper + right + shift] ?? 0;
        const d = data[lower + left + shift] ?? 0;
        const e = data[lower + right + shift] ?? 0;
        const above = fround(a + fround(wx * fround(b - a)));
        const below = fround(d + fround(wx * fround(e - d)));
        out[to++] = above + fround(wy * fround(below - above));
      }
    }
  }
}

function dense(height: number, width: number, channels: number, data: Float32Array): PixelTensor {
  return { layout: 'HWC', height, width, channels, data };
}

/** The view counterpart of {@link resize}: what the chain runs. */
export function resizeView(view: PixelView, [height, width]: Size): PixelTensor {
  const out = new Float32Array(height * width * view.channels);
  resizeIntoWindow(view, out, { top: 0, left: 0, height, width, rowPixels: width });
  return dense(height, width, view.channels, out);
}

/**
 * The size that keeps the aspect ratio inside `size`, and where it begins. Exact integers: the axis that limits fills its
 * edge; the other is `max(1, floor((2 * inputOther * outputLimit + inputLimit) / (2 * inputLimit)))`, i.e. rounded half
 * up; the spare pixels are split evenly, an odd one goes below or to the right.
 */
export function letterboxWindow(input: Size, size: Size): { top: number; left: number; height: number; width: number } {
  const [inputHeight, inputWidth] = input;
  const [outputHeight, outputWidth] = size;
  const fitted = (other: number, limit: number, edge: number): number => Math.max(1, Math.floor((2 * other * edge + limit) / (2 * limit)));
  const heightLimits = outputHeight * inputWidth <= outputWidth * inputHeight;
  const height = heightLimits ? outputHeight : Math.min(outputHeight, fitted(inputHeight, inputWidth, outputWidth));
  const width = heightLimits ? Math.min(outputWidth, fitted(inputWidth, inputHeight, outputHeight)) : outputWidth;
  return { top: Math.floor((outputHeight - height) / 2), left: Math.floor((outputWidth - width) / 2), height, width };
}

export function letterboxView(view: PixelView, size: Size, fill: number): PixelTensor {
  const [height, width] = size;
  const out = new Float32Array(height * width * view.channels).fill(fill);
  resizeIntoWindow(view, out, { ...letterboxWindow([view.height, view.width], size), rowPixels: width });
  return dense(height, width, view.channels, out);
}

/** Where the middle `output` pixels of an axis lie: skipped pixels of the input, zero pixels before it, pixels copied. */
export function middle(input: number, output: number): { from: number; to: number; count: number } {
  return input >= output
    ? { from: Math.floor((input - output) / 2), to: 0, count: output }
    : { from: 0, to: Math.floor((output - input) / 2), count: input };
}

export function centercropView(view: PixelView, [height, width]: Size): PixelTensor {
  const { data, channels, pixelStride, channelStride } = view;
  const out = new Float32Array(height * width * channels);
  const rows = middle(view.height, height);
  const columns = middle(view.width, width);
  for (let y = 0; y < rows.count; y++) {
    let from = ((rows.from + y) * view.width + columns.from) * pixelStride;
    let to = ((rows.to + y) * width + columns.to) * channels;
    for (let x = 0; x < columns.count; x++) {
      for (let c = 0; c < channels; c++) out[to++] = data[from + c * channelStride] ?? 0;
      from += pixelStride;
    }
  }
  return dense(height, width, channels, out);
}

export function grayscaleView(view: PixelView): PixelTensor {
  const { data, height, width, channels, pixelStride, channelStride } = view;
  const out = new Float32Array(height * width);
  if (channels === 1) {
    copyView(view, 'HWC', out);
    return dense(height, width, 1, out);
  }
  if (channels !== 3) {
    throw new AppError('PREPROC_INVALID', { message: `"grayscale" needs 1 or 3 channels and got ${channels}` });
  }
  const fround = Math.fround;
  const [wr, wg, wb] = LUMA_WEIGHTS;
  for (let p = 0; p < out.length; p++) {
    const at = p * pixelStride;
    const r = data[at] ?? 0;
    const g = data[at + channelStride] ?? 0;
    const b = data[at + 2 * channelStride] ?? 0;
    out[p] = fround(fround(wr * r) + fround(wg * g)) + fround(wb * b);
  }
  return dense(height, width, 1, out);
}

/** The input of a spatial op. @throws AppError PREPROC_INVALID when the layout is not HWC. */
function viewPixels(op: string, tensor: PixelTensor): PixelView {
  if (tensor.layout !== 'HWC') {
    throw new AppError('PREPROC_INVALID', {
      message: `"${op}" works on HWC pixels and got a ${tensor.layout} tensor`,
      hint: `Put "${op}" before "hwctochw".`,
    });
  }
  return viewTensor(tensor);
}

/**
 * Resizes bilinearly with half-pixel centres, clamped at the edges, without antialiasing; the aspect ratio is not kept.
 *
 * Per value, each step rounded to float32 and none fused: `above = a + wx * (b - a)`, `below = d + wx * (e - d)`,
 * `out = above + wy * (below - above)`, with a, b the left and right tap of the upper row, d, e those of the lower row, and
 * the taps and weights of {@link axisTaps}.
 *
 * @param tensor - HWC, any number of channels.
 * @param size - [height, width] in pixels.
 * @throws AppError PREPROC_INVALID (user) on a CHW tensor.
 * @see ONNX Resize-19, mode "linear", coordinate_transformation_mode "half_pixel", antialias 0
 */
export function resize(tensor: PixelTensor, size: Size): PixelTensor {
  return resizeView(viewPixels('resize', tensor), size);
}

/**
 * Resizes as {@link resize} does, but keeps the aspect ratio (enlarging too), centres the picture and fills the rest.
 *
 * @param tensor - HWC, any number of channels.
 * @param size - [height, width] of the result in pixels.
 * @param fill - value of the border in every channel, in the tensor's own range at this point; default 114.
 * @throws AppError PREPROC_INVALID (user) on a CHW tensor.
 * @see {@link letterboxWindow} for the placement; Ultralytics `LetterBox` (scaleup, center)
 */
export function letterbox(tensor: PixelTensor, size: Size, fill: number = LETTERBOX_FILL): PixelTensor {
  return letterboxView(viewPixels('letterbox', tensor), size, fill);
}

/**
 * Cuts the middle: begins at `floor((input - output) / 2)`. An axis that is shorter than asked for is padded with zeros,
 * `floor((output - input) / 2)` of them before the picture, so that the result always has the size that was asked for.
 *
 * @param tensor - HWC, any number of channels.
 * @param size - [height, width] in pixels.
 * @throws AppError PREPROC_INVALID (user) on a CHW tensor.
 * @see torchvision `center_crop` (which rounds an odd margin half to even instead)
 */
export function centercrop(tensor: PixelTensor, size: Size): PixelTensor {
  return centercropView(viewPixels('centercrop', tensor), size);
}

/**
 * Reduces R, G, B to luma: `(wr * R + wg * G) + wb * B`, each product and sum rounded to float32, none fused. The result
 * is not rounded to whole numbers. One channel stays as it is.
 *
 * @param tensor - HWC with 1 or 3 channels.
 * @returns HWC with 1 channel.
 * @throws AppError PREPROC_INVALID (user) on a CHW tensor or another number of channels.
 * @see ITU-R BT.601-7, 2.5.1: 0.299, 0.587, 0.114
 */
export function grayscale(tensor: PixelTensor): PixelTensor {
  return grayscaleView(viewPixels('grayscale', tensor));
}
