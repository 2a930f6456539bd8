export { foldBatchNormalization, removeDropout } from './fold-batch-norm.ts';
export { raiseOpset } from './raise-opset.ts';
