import { intAttribute, intsAttribute, type Node, stringAttribute, type TensorData } from '../model.ts';
import { integerValues } from '../tensor.ts';
import { resolveAxis, type Shape } from './rule.ts';

/**
 * Operands that ONNX moved from attributes to inputs over its versions, read the same way for every version.
 * Each function gives undefined (or a reason as text) where the value is only known when the model runs.
 */
export interface OperandSource {
  readonly node: Node;
  readonly opset: number;
  constant(index: number): TensorData | undefined;
}

const present = (source: OperandSource, index: number): boolean => (source.node.inputs[index] ?? '') !== '';

/** Integers of the input at `index`, else of the attribute; null when neither is there, undefined when not constant. */
function integerOperand(source: OperandSource, index: number, attributeName: string): readonly number[] | null | undefined {
  if (present(source, index)) {
    const value = source.constant(index);
    return value && integerValues(value);
  }
  return intsAttribute(source.node, attributeName) ?? null;
}

/** Numbers of a constant float input; null when it is left out or empty, undefined when not constant. */
function floatOperand(source: OperandSource, index: number): readonly number[] | null | undefined {
  if (!present(source, index)) return null;
  const value = source.constant(index);
  if (!value || (value.type !== 'float32' && value.type !== 'float64')) return undefined;
  return value.data.length === 0 ? null : Array.from(value.data);
}

/** Axes of a reduction, Squeeze or Unsqueeze, counted from the front and in order; a reason where they are not known. */
export function axesOperand(source: OperandSource, rank: number): readonly number[] | null | string {
  const axes = integerOperand(source, 1, 'axes');
  if (axes === undefined) return 'axes that are computed while the model runs';
  if (axes === null || axes.length === 0) return null;
  const resolved: number[] = [];
  for (const axis of axes) {
    const found = resolveAxis(axis, rank);
    if (found === undefined || resolved.includes(found)) return `axes [${axes.join(', ')}] do not fit ${rank} dimensions`;
    resolved.push(found);
  }
  return resolved.sort((a, b) => a - b);
}

/** What Slice takes of one axis: `size` elements from `start` on, `step` apart (negative: backwards). */
export interface SliceRange {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

function sliceRange(edge: number, start: number, end: number, step: number): SliceRange {
  const wrap = (at: number) => (at < 0 ? at + edge : at);
  const low = step > 0 ? 0 : -1;
  const high = step > 0 ? edge : edge - 1;
  const clamp = (at: number) => Math.min(Math.max(at, low), high);
  const from = step > 0 ? Math.min(Math.max(wrap(start), 0), edge) : Math.min(Math.max(wrap(start), 0), edge - 1);
  const to = clamp(wrap(end));
  return { start: from, step, size: Math.max(0, Math.ceil((to - from) / step)) };
}

/** Ranges of a Slice node by axis; axes that are not in the map are taken whole. */
export function sliceRanges(source: OperandSource, shape: Shape): ReadonlyMap<number, SliceRange> | string {
  const starts = integerOperand(source, 1, 'starts');
  const ends = integerOperand(source, 2, 'ends');
  const axes = integerOperand(source, 3, 'axes');
  const steps = integerOperand(source, 4, 'steps');
  if (!starts || !ends || axes === undefined || steps === undefined) return 'bounds that are computed while the model runs';
  const ranges = new Map<number, SliceRange>();
  for (const [i, start] of starts.entries()) {
    const axis = resolveAxis(axes?.[i] ?? i, shape.length);
    const edge = axis === undefined ? undefined : shape[axis];
    const step = steps?.[i] ?? 1;
    if (axis === undefined || step === 0) return 'axes or steps out of range';
    if (edge === null || edge === undefined) return 'a slice along a dimension of unknown size';
    ranges.set(axis, sliceRange(edge, start, ends[i] ?? edge, step));
  }
  return ranges;
}

/** Sizes of the parts of a Split node along its axis. */
export function splitSizes(source: OperandSource, edge: number | null): readonly number[] | string {
  const sizes = integerOperand(source, 1, 'split');
  const count = source.node.outputs.length;
  if (sizes === undefined) return 'part sizes that are computed while the model runs';
  if (edge === null) return 'a split along a dimension of unknown size';
  const even = Math.ceil(edge / count);
  const parts = sizes ?? Array.from({ length: count }, (_, i) => Math.min(even, edge - even * i));
  const fits = parts.length === count && parts.every((size) => size >= 0) && parts.reduce((a, b) => a + b, 0) === edge;
  return fits ? parts : `parts [${parts.join(', ')}] do not fit ${edge}`;
}

/** Elements that a Pad node adds before and after each axis; negative ones cut. */
export function padEdges(source: OperandSource, rank: number): { before: number[]; after: number[] } | string {
  const pads = integerOperand(source, 1, 'pads');
  const axes = integerOperand(source, 3, 'axes');
  if (!pads || axes === undefined) return 'pads that are computed while the model runs';
  const list = axes ?? Array.from({ length: rank }, (_, i) => i);
  if (pads.length !== 2 * list.length) return `pads [${pads.join(', ')}] do not fit ${rank} dimensions`;
  const before = new Array<number>(rank).fill(0);
  const after = new Array<number>(rank).fill(0);
  for (const [i, axis] of list.entries()) {
    const at = resolveAxis(axis, rank);
    if (at === undefined) return 'axes out of range';
    before[at] = pads[i] ?? 0;
    after[at] = pads[list.length + i] ?? 0;
  }
  return { before, after };
}

/** Output size and scale per axis of a Resize or Upsample node. */
export function resizeTarget(source: OperandSource, shape: readonly number[]): { sizes: number[]; scales: number[] } | string {
  const { node, opset } = source;
  if (stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') return 'keep_aspect_ratio_policy';
  const axes = intsAttribute(node, 'axes')?.map((axis) => resolveAxis(axis, shape.length) ?? -1) ?? shape.map((_, i) => i);
  const upsample = node.op === 'Upsample';
  const attribute = node.attributes.scales;
  const late = !upsample && opset >= 11;
  const given = upsample && attribute?.kind === 'floats' ? attribute.value : floatOperand(source, late ? 2 : 1);
  const sizes = late ? integerOperand(source, 3, '') : null;
  if (given === undefined || sizes === undefined) return 'a size that is computed while the model runs';
  if (sizes !== null && sizes.length === axes.length) {
    const target = shape.map((size, i) => (axes.includes(i) ? (sizes[axes.indexOf(i)] ?? size) : size));
    return { sizes: target, scales: target.map((size, i) => size / (shape[i] ?? 1)) };
  }
  if (given === null || given.length !== axes.length) return 'neither sizes nor scales for every axis';
  const scales = shape.map((_, i) => (axes.includes(i) ? (given[axes.indexOf(i)] ?? 1) : 1));
  return { sizes: shape.map((size, i) => Math.floor(size * (scales[i] ?? 1))), scales };
}

/** Block edge of DepthToSpace or SpaceToDepth. */
export function blockSize(node: Node): number {
  return intAttribute(node, 'blocksize', 0);
}
