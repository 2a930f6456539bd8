import { CONVOLUTION_GRADIENTS } from './convolution.ts';
import { ELEMENTWISE_GRADIENTS } from './elementwise.ts';
import { LAYOUT_GRADIENTS } from './layout.ts';
import { LINEAR_GRADIENTS } from './linear.ts';
import { POINTWISE_GRADIENTS } from './pointwise.ts';
import { POOLING_GRADIENTS } from './pooling.ts';
import { REGULARIZATION_GRADIENTS } from './regularization.ts';
import type { GradientRule, GradientRules } from './rule.ts';
import { SOFTMAX_GRADIENTS } from './softmax.ts';

const RULES: GradientRules = {
  ...CONVOLUTION_GRADIENTS,
  ...POOLING_GRADIENTS,
  ...LINEAR_GRADIENTS,
  ...ELEMENTWISE_GRADIENTS,
  ...POINTWISE_GRADIENTS,
  ...LAYOUT_GRADIENTS,
  ...REGULARIZATION_GRADIENTS,
  ...SOFTMAX_GRADIENTS,
};

/** Operators that can be trained through, sorted by name. */
export const TRAINABLE_OPS: readonly string[] = Object.keys(RULES).sort();

/** The rule of an operator of the standard domain; undefined when it cannot be trained. */
export function gradientRule(op: string): GradientRule | undefined {
  return Object.hasOwn(RULES, op) ? RULES[op] : undefined;
}
