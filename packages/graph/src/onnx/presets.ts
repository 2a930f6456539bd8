import type { Layer } from '@selvedge/contract';

/** Networks that a pipeline names instead of listing layers. */
export type NetworkPreset = 'small-cnn' | 'mlp';

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

export const NETWORK_PRESETS: Readonly<Record<NetworkPreset, readonly Layer[]>> = { 'small-cnn': SMALL_CNN, mlp: MLP };
