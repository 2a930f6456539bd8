import { crossEntropyHead } from './cross-entropy.ts';
import { detectionHead } from './detection.ts';
import { identityHead } from './identity.ts';
import { type LossHead, type LossSpec, lossKind } from './loss.ts';
import { BINARY_CROSS_ENTROPY, MEAN_SQUARED_ERROR } from './regression.ts';

export * from './loss.ts';

/**
 * The loss that a spec asks for.
 *
 * @throws AppError INPUT_INVALID when a parameter is out of range.
 */
export function lossHead(spec: LossSpec): LossHead {
  if (typeof spec !== 'string') {
    if (spec.kind === 'detection') return detectionHead(spec);
    return spec.kind === 'identity' ? identityHead(spec) : crossEntropyHead(spec);
  }
  switch (lossKind(spec)) {
    case 'mse':
      return MEAN_SQUARED_ERROR;
    case 'bce-with-logits':
      return BINARY_CROSS_ENTROPY;
    default:
      return crossEntropyHead({});
  }
}
