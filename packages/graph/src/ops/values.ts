import { AppError } from '@selvedge/contract';
import { copyView, type PixelTensor, type TensorLayout, viewTensor } from './pixel-tensor.ts';

/** Mean and standard deviation, one value for all channels or one per channel. */
export interface NormalizeParams {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export function scaleInPlace(data: Float32Array, [lo, hi]: readonly [lo: number, hi: number]): void {
  const factor = Math.fround((hi - lo) / 255);
  const offset = Math.fround(lo);
  for (let i = 0; i < data.length; i++) data[i] = Math.fround((data[i] ?? 0) * factor) + offset;
}

/** @throws AppError PREPROC_INVALID when the number of values is neither 1 nor the number of channels. */
export function checkNormalize(params: NormalizeParams, channels: number): void {
  const { mean, std } = params;
  if (mean.length !== std.length || (mean.length !== 1 && mean.length !== channels)) {
    throw new AppError('PREPROC_INVALID', {
      message: `"normalize" has ${mean.length} mean and ${std.length} std value(s) for ${channels} channel(s)`,
      hint: 'Give one value, or one per channel.',
    });
  }
}

export function normalizeInPlace(data: Float32Array, layout: TensorLayout, channels: number, params: NormalizeParams): void {
  checkNormalize(params, channels);
  const pixels = data.length / channels;
  const pixelStride = layout === 'HWC' ? channels : 1;
  const channelStride = layout === 'HWC' ? 1 : pixels;
  for (let c = 0; c < channels; c++) {
    const from = params.mean.length === 1 ? 0 : c;
    const mean = Math.fround(params.mean[from] ?? 0);
    const std = Math.fround(params.std[from] ?? 1);
    let at = c * channelStride;
    for (let p = 0; p < pixels; p++) {
      data[at] = Math.fround((data[at] ?? 0) - mean) / std;
      at += pixelStride;
    }
  }
}

/**
 * Moves the channels in front; values are not changed.
 *
 * @param tensor - HWC.
 * @returns CHW.
 * @throws AppError PREPROC_INVALID (user) on a CHW tensor.
 */
export function hwctochw(tensor: PixelTensor): PixelTensor {
  if (tensor.layout !== 'HWC') throw new AppError('PREPROC_INVALID', { message: '"hwctochw" got a tensor that is CHW already' });
  const data = new Float32Array(tensor.data.length);
  copyView(viewTensor(tensor), 'CHW', data);
  return { ...tensor, layout: 'CHW', data };
}

/**
 * Maps 0..255 linearly to lo..hi; values outside are mapped on the same line, not clipped.
 *
 * `out = x * factor + lo`, both steps rounded to float32 and not fused, where `factor = float32((hi - lo) / 255)` with
 * the difference and quotient in float64, and lo is rounded to float32.
 *
 * @param tensor - any layout.
 * @param range - [lo, hi].
 */
export function scale(tensor: PixelTensor, range: readonly [lo: number, hi: number]): PixelTensor {
  const data = tensor.data.slice();
  scaleInPlace(data, range);
  return { ...tensor, data };
}

/**
 * `out = (x - mean[c]) / std[c]`, mean and std rounded to float32 first, both steps rounded to float32.
 *
 * @param tensor - any layout.
 * @param params - one value for all channels, or one per channel.
 * @throws AppError PREPROC_INVALID (user) when the number of values fits neither.
 * @see torchvision `normalize`
 */
export function normalize(tensor: PixelTensor, params: NormalizeParams): PixelTensor {
  const data = tensor.data.slice();
  normalizeInPlace(data, tensor.layout, tensor.channels, params);
  return { ...tensor, data };
}
