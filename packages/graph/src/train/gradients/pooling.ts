import { attribute, elementCount, float32Tensor, intAttribute, intsAttribute } from '../../onnx/index.ts';
import { type Window, windowOf } from '../../onnx/shapes/window.ts';
import { type BackwardView, type GradientRule, type GradientRules, type NodeView, savedValue } from './rule.ts';

function windowFor(view: NodeView): Window {
  const window = windowOf(view.node, view.shape(view.input(0)).slice(2), intsAttribute(view.node, 'kernel_shape') ?? []);
  return typeof window === 'string' ? view.unsupported(window) : window;
}

/**
 * ONNX Runtime says which element was the largest of each window; the gradient goes there. One method for every
 * stride, padding and overlap, and right where values are equal.
 */
const maxPool: GradientRule = {
  weights: [],
  forward: (view) => {
    const indices = view.graph.freshName('indices');
    view.graph.opInto('MaxPool', [view.input(0)], [view.node.outputs[0] ?? '', indices], {
      ...view.node.attributes,
      storage_order: attribute.int(0),
    });
    return { indices };
  },
  backward: (view) => {
    const { graph } = view;
    const shape = view.shape(view.input(0));
    const { kernel, strides } = windowFor(view);
    const apart = kernel.every((size, i) => size <= (strides[i] ?? 1));
    // The quick way; it takes no sums, so no pixel may be the largest of two windows. It goes by the indices alone, and
    // windows of one pixel make it accept every shape.
    const single = attribute.ints(kernel.map(() => 1));
    if (apart)
      return [
        graph.op('MaxUnpool', [view.gradient, savedValue(view, 'indices'), graph.ints(shape)], { kernel_shape: single, strides: single }),
      ];
    const zeros = graph.op('ConstantOfShape', [graph.ints([elementCount(shape)])], {
      value: { kind: 'tensor', value: float32Tensor([1], Float32Array.of(0)) },
    });
    const flat = graph.op(
      'ScatterElements',
      [zeros, graph.reshape(savedValue(view, 'indices'), [-1]), graph.reshape(view.gradient, [-1])],
      {
        axis: attribute.int(0),
        reduction: attribute.string('add'),
      },
    );
    return [graph.reshape(flat, shape)];
  },
};

/** How many pixels each window averages over, for one channel; the same everywhere unless padding is left out of it. */
function windowCounts(window: Window, size: readonly number[], countPads: boolean): Float32Array {
  const along = window.output.map((steps, i) =>
    Array.from({ length: steps ?? 0 }, (_, step) => {
      const begin = step * (window.strides[i] ?? 1) - (window.pads[i] ?? 0);
      const end = begin + (window.kernel[i] ?? 1);
      return countPads ? (window.kernel[i] ?? 1) : Math.min(end, size[i] ?? 0) - Math.max(begin, 0);
    }),
  );
  return Float32Array.from(
    along.reduce<number[]>((products, counts) => products.flatMap((left) => counts.map((right) => left * right)), [1]),
  );
}

/** Spreads each value of the gradient over its window: a transposed convolution with a kernel of ones, channel by channel. */
function spread(view: BackwardView, window: Window): string {
  const { graph } = view;
  const shape = view.shape(view.input(0));
  const size = shape.slice(2);
  const spatial = size.length;
  const channels = (shape[0] ?? 0) * (shape[1] ?? 0);
  const output = window.output.map((steps) => steps ?? 0);
  const counts = windowCounts(window, size, intAttribute(view.node, 'count_include_pad', 0) !== 0);
  const shares = graph.constant(
    float32Tensor(
      [1, 1, ...output],
      counts.map((count) => 1 / count),
    ),
  );
  const rest = size.map((pixels, i) => {
    const reached = ((output[i] ?? 1) - 1) * (window.strides[i] ?? 1) + (window.kernel[i] ?? 1);
    return pixels + (window.pads[i] ?? 0) + (window.pads[spatial + i] ?? 0) - reached;
  });
  const ones = graph.constant(float32Tensor([1, 1, ...window.kernel], new Float32Array(elementCount(window.kernel)).fill(1)));
  const shared = graph.op('Mul', [graph.reshape(view.gradient, [channels, 1, ...output]), shares]);
  const result = graph.op('ConvTranspose', [shared, ones], {
    kernel_shape: attribute.ints(window.kernel),
    strides: attribute.ints(window.strides),
    pads: attribute.ints(window.pads),
    output_padding: attribute.ints(rest),
  });
  return graph.reshape(result, shape);
}

const averagePool: GradientRule = {
  weights: [],
  backward: (view) => {
    const window = windowFor(view);
    if (intAttribute(view.node, 'ceil_mode', 0) !== 0) view.unsupported('ceil_mode 1 cannot be trained');
    if (window.dilations.some((dilation) => dilation !== 1)) view.unsupported('dilations cannot be trained');
    return [spread(view, window)];
  },
};

const globalAveragePool: GradientRule = {
  weights: [],
  backward: (view) => {
    const { graph } = view;
    const shape = view.shape(view.input(0));
    const share = graph.op('Mul', [view.gradient, graph.scalar(1 / elementCount(shape.slice(2)))]);
    return [graph.op('Expand', [share, graph.ints(shape)])];
  },
};

export const POOLING_GRADIENTS: GradientRules = { MaxPool: maxPool, AveragePool: averagePool, GlobalAveragePool: globalAveragePool };
