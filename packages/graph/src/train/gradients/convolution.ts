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

/** Weights with the roles of inputs and outputs exchanged and the kernel turned around. */
function turned(view: BackwardView, { w, groups, spatial }: ConvGeometry): string {
  const { graph } = view;
  const [filters = 0, perGroup = 0, ...kernel] = w;
  const tail = kernel.map((_, i) => i + 2);
  let result = view.input(1);
  if (groups === 1) result = graph.transpose(result, [1, 0, ...tail]);
  else if (perGroup > 1 || filters > groups) {
    const split = graph.reshape(result, [groups, filters / groups, perGroup, ...kernel]);
    const moved = graph.transpose(split, [0, 2, 1, ...tail.map((axis) => axis + 1)]);
    result = graph.reshape(moved, [groups * perGroup, filters / groups, ...kernel]);
  }
  if (kernel.every((size) => size === 1)) return result;
  const all = (value: number) => graph.ints(Array.from({ length: spatial }, () => value));
  return graph.op('Slice', [result, all(-1), all(Number.MIN_SAFE_INTEGER), graph.ints(tail), all(-1)]);
}

/** Gradient by the input: the transposed convolution, which at stride 1 is one with the kernel turned around, and quicker as such. */
function byInput(view: BackwardView): string {
  const geometry = geometryOf(view);
  const { kernel, strides, dilations, pads, x, y, groups, spatial } = geometry;
  const opposite = pads.map((pad, i) => ((kernel[i % spatial] ?? 1) - 1) * (dilations[i % spatial] ?? 1) - pad);
  if (strides.every((stride) => stride === 1) && opposite.every((pad) => pad >= 0)) {
    return view.graph.op('Conv', [view.gradient, turned(view, geometry)], {
      kernel_shape: attribute.ints(kernel),
      dilations: attribute.ints(dilations),
      pads: attribute.ints(opposite),
      group: attribute.int(groups),
    });
  }
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

/** Gradient by weights that look at one pixel: one matrix product over all pixels of the batch. */
function byPointWeights(view: BackwardView, { x, y, w }: ConvGeometry): string {
  const { graph } = view;
  const rows = (value: string, shape: readonly number[]): string => {
    const [batch = 0, channels = 0, ...size] = shape;
    const moved = batch === 1 ? value : graph.transpose(value, [1, 0, ...size.map((_, i) => i + 2)]);
    return graph.reshape(moved, [channels, -1]);
  };
  const product = graph.op('Gemm', [rows(view.gradient, y), rows(view.input(0), x)], { transB: attribute.int(1) });
  return graph.reshape(product, w);
}

/**
 * Gradient by the weights: a convolution of the input with the result's gradient, in which the batch takes the place
 * of the channels, and strides and dilations change places.
 */
function byWeights(view: BackwardView): string {
  const { graph, gradient } = view;
  const geometry = geometryOf(view);
  const { kernel, strides, dilations, pads, x, groups, spatial } = geometry;
  const point = groups === 1 && kernel.every((size) => size === 1) && strides.every((stride) => stride === 1);
  if (point && pads.every((pad) => pad === 0)) return byPointWeights(view, geometry);
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
