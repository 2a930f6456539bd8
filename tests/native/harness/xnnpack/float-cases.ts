import { CONVOLUTIONS, LINEAR } from './convolution-cases.ts';
import { ELEMENTWISE } from './elementwise-cases.ts';
import { LAYOUT, NETWORKS } from './layout-cases.ts';
import type { ModelCase } from './model-case.ts';
import { POOLS } from './pooling-cases.ts';

/** One model per operator and combination of attributes, in float32. */
export const FLOAT_CASES: readonly ModelCase[] = [...CONVOLUTIONS, ...LINEAR, ...ELEMENTWISE, ...POOLS, ...LAYOUT, ...NETWORKS];
