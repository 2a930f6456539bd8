export type { ActivationType, Range } from './affine.ts';
export {
  type Batches,
  type CalibrationMethod,
  type CalibrationOptions,
  type CalibrationProgress,
  calibrate,
  type Feeds,
  type Ranges,
} from './calibrate.ts';
export type { KeptNode } from './choose-nodes.ts';
export { choosePrecision, type PrecisionCandidate, type PrecisionChoice, type PrecisionRequest } from './choose-precision.ts';
export { type CompareOptions, compareLayers, type LayerNoise } from './compare-layers.ts';
export { type QuantisedModel, type QuantiseOptions, quantiseModel } from './quantise-model.ts';
export { type Evaluate, type Sensitivity, type SensitivityOptions, sensitivity } from './sensitivity.ts';
