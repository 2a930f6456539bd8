import { AppError, type Layer } from '@selvedge/contract';

/** Networks that a pipeline names instead of listing layers. */
export type NetworkPreset = 'small-cnn' | 'mlp' | 'mobilenet-tiny';

/** Two convolutions and one hidden layer for small pictures (28x28, 32x32); pooling comes before relu, which is the same and cheaper. */
const SMALL_CNN: readonly Layer[] = [
  { conv: { filters: 16, kernel: 3 } },
  { maxpool: 2 },
  'relu',
  { conv: { filters: 32, kernel: 3 } },
  { maxpool: 2 },
  'relu',
  'flatten',
  { dense: 96 },
  'relu',
  'classifier',
];

const MLP: readonly Layer[] = ['flatten', { dense: 128 }, 'relu', { dense: 64 }, 'relu', 'classifier'];

/** Convolutions per channel and across channels, MobileNetV1's block (Howard et al. 2017) with the relu6 that suits int8. */
const separable = (filters: number, stride: number): readonly Layer[] => [
  { depthwise: { kernel: 3, stride } },
  'batchnorm',
  'relu6',
  { conv: { filters, kernel: 1 } },
  'batchnorm',
  'relu6',
];

/** Channels are multiples of 8, so that vector units are filled. */
export function widened(channels: number, width: number): number {
  return Math.max(8, Math.round((channels * width) / 8) * 8);
}

/** For pictures from 32x32 on: halved three times, then averaged. */
function mobilenetTiny(width: number): readonly Layer[] {
  return [
    { conv: { filters: widened(16, width), kernel: 3, stride: 2 } },
    'batchnorm',
    'relu6',
    ...separable(widened(32, width), 1),
    ...separable(widened(64, width), 2),
    ...separable(widened(64, width), 1),
    ...separable(widened(128, width), 2),
    ...separable(widened(128, width), 1),
    'globalaveragepool',
    'classifier',
  ];
}

const WIDTHS = { min: 0.25, max: 4 };

export function checkWidth(width: number): void {
  if (width >= WIDTHS.min && width <= WIDTHS.max) return;
  throw new AppError('INPUT_INVALID', { message: `The width of a network is ${WIDTHS.min} to ${WIDTHS.max}, not ${width}.` });
}

/**
 * The layers of a preset.
 *
 * @param width - factor on the channels of `mobilenet-tiny`; default 1.
 * @throws AppError INPUT_INVALID when the width is out of range.
 */
export function presetLayers(preset: NetworkPreset, width = 1): readonly Layer[] {
  checkWidth(width);
  if (preset === 'mobilenet-tiny') return mobilenetTiny(width);
  return preset === 'mlp' ? MLP : SMALL_CNN;
}
