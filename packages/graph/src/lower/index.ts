export * from './ir.ts';
export { LOWERED_OPS, type LowerResult, lowerModel } from './lower-model.ts';
export type { Unsupported } from './network.ts';
