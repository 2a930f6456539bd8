import type { LowerRules } from '../node-context.ts';

/**
 * Quantised values stay int8 in the graph and stand for real numbers everywhere: DequantizeLinear is nothing to do, and
 * an operation that needs float32 converts them itself.
 */
export const QUANTISATION_RULES: LowerRules = {
  QuantizeLinear: (context) => {
    const quant = context.quantParams() ?? context.unsupported('scales per channel, or a type other than int8 and uint8');
    const view = context.view(0);
    context.give(context.node.outputs[0], { ...view, value: context.builder.inInt8(view.value, quant) });
  },
  DequantizeLinear: (context) => {
    const view = context.view(0);
    if (!context.quantOf(view)) context.unsupported('an input that no QuantizeLinear made');
    context.give(context.node.outputs[0], view);
  },
};
