import { attribute, intAttribute } from '../../onnx/index.ts';
import { type Window, windowOf } from '../../onnx/shapes/window.ts';
import type { BackwardView, GradientRule, GradientRules } from './rule.ts';

interface ConvGeometry extends Window {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly y: readonly number[];
  readonly groups: number;
  readonly spatial: number;
}

function geometryOf(view: BackwardView): ConvGeometry {
  const [x, w, y] = [view.shape(view.input(0)), view.shape(view.input(1)), view.shape(view.node.outputs[0] ?? '')];
  const window = windowOf(view.node, x.slice(2), w.slice(2));
  if (typeof window === 'string') view.unsupported(window);
  return { ...window, x, w, y, groups: intAttribute(view.node, 'group', 1), spatial: x.length - 2 };
}

/** Gradient by the input: the transposed convolution. */
function byInput(view: BackwardView): string {
  const { kernel, strides, dilations, pads, x, y, groups, spatial } = geometryOf(view);
  // Pixels at the end that the last window did not reach have no gradient; output_padding makes room for them.
  const rest = kernel.map((size, i) => {
    const reached = ((y[i + 2] ?? 1) - 1) * (strides[i] ?? 1) + (size - 1) * (dilations[i] ?? 1) + 1;
    return (x[i + 2] ?? 0) + (pads[i] ?? 0) + (pads[spatial + i] ?? 0) - reached;
  });
  return view.graph.op('ConvTranspose', [view.gradient, view.input(1)], {
    kernel_shape: attribute.ints(kernel),
    strides: attribute.ints(strides),
    dilations: attribute.ints(dilations),
    pads: attribute.ints(pads),
    output_padding: attribute.ints(rest),
    group: attribute.int(groups),
  });
}

/**
 * Gradient by the weights: a convolution of the input with the result's gradient, in which the batch takes the place
 * of the channels, and strides and dilations change places.
 */
function byWeights(view: BackwardView): string {
  const { graph, gradient } = view;
  const { kernel, strides, dilations, pads, x, groups, spatial } = geometryOf(view);
  const [batch = 0, channels = 0, ...size] = x;
  const tail = kernel.map((_, i) => i + 2);
  let images = view.input(0);
  if (groups === 1) {
    images = channels === 1 ? graph.reshape(images, [1, batch, ...size]) : graph.transpose(images, [1, 0, ...tail]);
  } else {
    const split = graph.reshape(images, [batch, groups, channels / groups, ...size]);
    const moved = graph.transpose(split, [2, 1, 0, ...tail.map((axis) => axis + 1)]);
    images = graph.reshape(moved, [channels / groups, groups * batch, ...size]);
  }
  const result = graph.op('Conv', [images, graph.transpose(gradient, [1, 0, ...tail])], {
    strides: attribute.ints(dilations),
    dilations: attribute.ints(strides),
    pads: attribute.ints(pads),
    group: attribute.int(groups),
  });
  const zeros = Array.from({ length: spatial }, () => 0);
  // Pixels that the last window did not reach make the result larger than the kernel.
  const exact = strides.every((stride) => stride === 1);
  const cut = exact ? result : graph.op('Slice', [result, graph.ints(zeros), graph.ints(kernel), graph.ints(tail)]);
  return graph.transpose(cut, [1, 0, ...tail]);
}

const conv: GradientRule = {
  weights: [1, 2],
  backward: (view) => {
    const axes = view.shape(view.input(0)).map((_, axis) => axis);
    return [
      view.needs(0) ? byInput(view) : undefined,
      view.needs(1) ? byWeights(view) : undefined,
      view.needs(2)
        ? view.graph.sum(
            view.gradient,
            axes.filter((axis) => axis !== 1),
          )
        : undefined,
    ];
  },
};

export const CONVOLUTION_GRADIENTS: GradientRules = { Conv: conv };
