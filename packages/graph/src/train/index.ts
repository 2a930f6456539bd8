export { createRandom, type Random, shuffle } from '../onnx/index.ts';
export { batchesPerEpoch, type EpochSpec, epochBatches } from './batches.ts';
export type { Evaluation, Labels } from './evaluation.ts';
export { type ClassifierSpec, fitClassifier } from './fit-classifier.ts';
export { TRAINABLE_OPS } from './gradients/registry.ts';
export { type LearningRateSchedule, learningRateAt, type RunPosition } from './learning-rate.ts';
export type { CrossEntropyLoss, DetectionLoss, IdentityLoss, Loss, LossSpec } from './losses/index.ts';
export { type OptimizerSpec, optimizerFrom } from './optimizers.ts';
export { type Batch, createTrainer, type Trainer, type TrainerOptions } from './trainer.ts';
