import { floatAttribute } from '../../onnx/index.ts';
import type { LowerRules, NodeContext } from '../node-context.ts';
import { memoryOrder, viewOf } from '../tensor-view.ts';

/** What no convolution before it could take in: a factor and a summand per channel. */
function batchNormalization(context: NodeContext): void {
  const { builder, node } = context;
  const shape = context.shape(0);
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => context.floatConstant(i, 'parameters').data);
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const factors = Float32Array.from(scale ?? [], (value, i) => value / Math.sqrt((variance?.[i] ?? 0) + epsilon));
  const summands = factors.map((factor, i) => (bias?.[i] ?? 0) - (mean?.[i] ?? 0) * factor);
  const sink = context.sink({ clamp: true, int8: false });
  const view = context.inFloat(context.view(0));
  const order = memoryOrder(view) ?? shape.map((_, i) => i);
  const dims = order.map((axis) => (axis === 1 ? factors.length : 1)).slice(order.indexOf(1));
  const scaled = builder.binary('multiply', context.arranged(view, order), builder.floats(node.inputs[1] ?? '', dims, factors));
  const y = builder.binary('add', scaled, builder.floats(node.inputs[2] ?? '', dims, summands), {
    name: sink.names[0] ?? '',
    bounds: sink.bounds,
  });
  context.give(sink, viewOf(y, shape, order));
}

export const NORMALIZATION_RULES: LowerRules = { BatchNormalization: batchNormalization };
