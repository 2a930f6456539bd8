import { intAttribute, intsAttribute, type Node, stringAttribute } from '../model.ts';

/** A sliding window with every default filled in; arrays have one entry per spatial dimension. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** All begins, then all ends, as ONNX writes them. */
  readonly pads: readonly number[];
  /** Spatial size of the result; null where that of the input is unknown. */
  readonly output: readonly (number | null)[];
}

const validList = (values: readonly number[], length: number, min: number): boolean =>
  values.length === length && values.every((value) => value >= min && value <= 0xffff);

function samePads(size: number, effective: number, stride: number, upper: boolean): [number, number] {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + effective - size);
  const small = Math.floor(total / 2);
  return upper ? [small, total - small] : [total - small, small];
}

/**
 * Works out strides, dilations, pads (also `auto_pad`) and result size of a Conv or pooling node.
 *
 * @param input - spatial sizes of the input.
 * @returns the window, or the reason why it is impossible.
 */
export function windowOf(node: Node, input: readonly (number | null)[], kernel: readonly number[]): Window | string {
  const rank = input.length;
  const ones = input.map(() => 1);
  const strides = intsAttribute(node, 'strides') ?? ones;
  const dilations = intsAttribute(node, 'dilations') ?? ones;
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET');
  const ceil = intAttribute(node, 'ceil_mode', 0) !== 0;
  let pads = autoPad === 'NOTSET' ? (intsAttribute(node, 'pads') ?? [...ones, ...ones].map(() => 0)) : [...ones, ...ones].map(() => 0);
  if (!validList(kernel, rank, 1)) return `kernel_shape [${kernel.join(', ')}] does not fit ${rank} spatial dimensions`;
  if (!validList(strides, rank, 1) || !validList(dilations, rank, 1)) return `strides or dilations do not fit ${rank} spatial dimensions`;
  if (!validList(pads, 2 * rank, 0)) return `pads [${pads.join(', ')}] do not fit ${rank} spatial dimensions`;
  const effective = kernel.map((size, i) => (size - 1) * (dilations[i] ?? 1) + 1);
  if (autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER') {
    if (input.includes(null)) return `auto_pad ${autoPad} needs a known spatial size`;
    const pairs = input.map((size, i) => samePads(size ?? 0, effective[i] ?? 1, strides[i] ?? 1, autoPad === 'SAME_UPPER'));
    pads = [...pairs.map(([begin]) => begin), ...pairs.map(([, end]) => end)];
  } else if (autoPad !== 'NOTSET' && autoPad !== 'VALID') {
    return `auto_pad "${autoPad}" is unknown`;
  }
  const output: (number | null)[] = [];
  for (const [i, size] of input.entries()) {
    if (size === null) {
      output.push(null);
      continue;
    }
    const begin = pads[i] ?? 0;
    const stride = strides[i] ?? 1;
    const room = size + begin + (pads[rank + i] ?? 0) - (effective[i] ?? 1);
    if (room < 0) return `a window of ${effective[i]} does not fit into ${size} with its padding`;
    let steps = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
    // A window may not begin in the padding after the input.
    if (ceil && (steps - 1) * stride >= size + begin) steps--;
    output.push(steps);
  }
  return { kernel, strides, dilations, pads, output };
}

/** Window of a ConvTranspose; `adjustment` is what `output_padding` adds at the end of each spatial dimension. */
export interface TransposedWindow extends Window {
  readonly adjustment: readonly number[];
}

/**
 * Works out strides, dilations, pads (also from `output_shape` and `auto_pad`) and result size of a ConvTranspose node.
 *
 * @param input - spatial sizes of the input.
 * @returns the window, or the reason why it is impossible.
 */
export function transposedWindowOf(node: Node, input: readonly (number | null)[], kernel: readonly number[]): TransposedWindow | string {
  const rank = input.length;
  const ones = input.map(() => 1);
  const strides = intsAttribute(node, 'strides') ?? ones;
  const dilations = intsAttribute(node, 'dilations') ?? ones;
  const adjustment = intsAttribute(node, 'output_padding') ?? ones.map(() => 0);
  const target = intsAttribute(node, 'output_shape')?.slice(-rank);
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET');
  let pads = autoPad === 'NOTSET' ? (intsAttribute(node, 'pads') ?? [...ones, ...ones].map(() => 0)) : [...ones, ...ones].map(() => 0);
  if (!validList(kernel, rank, 1) || !validList(strides, rank, 1) || !validList(dilations, rank, 1))
    return `kernel, strides or dilations do not fit ${rank} spatial dimensions`;
  if (!validList(pads, 2 * rank, 0) || !validList(adjustment, rank, 0)) return `pads do not fit ${rank} spatial dimensions`;
  const effective = kernel.map((size, i) => (size - 1) * (dilations[i] ?? 1) + 1);
  const full = (i: number, size: number) => (strides[i] ?? 1) * (size - 1) + (adjustment[i] ?? 0) + (effective[i] ?? 1);
  if (target || autoPad.startsWith('SAME')) {
    if (input.includes(null)) return 'output_shape and auto_pad need a known spatial size';
    const upper = autoPad === 'SAME_UPPER';
    const pairs = input.map((size, i) => {
      const total = Math.max(0, full(i, size ?? 1) - (target?.[i] ?? (size ?? 1) * (strides[i] ?? 1)));
      const half = Math.floor(total / 2);
      return upper ? [half, total - half] : [total - half, half];
    });
    pads = [...pairs.map(([begin]) => begin ?? 0), ...pairs.map(([, end]) => end ?? 0)];
  }
  const output = input.map((size, i) => (size === null ? null : full(i, size) - (pads[i] ?? 0) - (pads[rank + i] ?? 0)));
  if (output.some((size) => size !== null && size < 1)) return 'the pads leave nothing of the result';
  return { kernel, strides, dilations, pads, adjustment, output };
}
