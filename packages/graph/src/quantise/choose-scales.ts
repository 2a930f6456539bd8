import { AppError } from '@selvedge/contract';
import type { Model, Node, TensorData } from '../onnx/index.ts';
import { type ActivationType, type Affine, affineOf, lowestOf, type Range, toScale } from './affine.ts';
import type { Ranges } from './calibrate.ts';
import type { Choice } from './choose-nodes.ts';
import { RunningRange } from './histogram.ts';
import { operandsOf, ruleOf } from './operators.ts';
import { LARGEST_WEIGHT } from './quantise-weights.ts';

/** Scale and zero point of every quantised value. */
export interface Scales {
  /** Of a value where it is made. */
  of(value: string): Affine;
  /** Of a value as a node takes it: the common scale for a node that moves values. */
  forUser(value: string, user: Node): Affine;
}

/** Values that must share one scale, as a forest. */
class Groups {
  private readonly parents = new Map<string, string>();

  rootOf(value: string): string {
    let root = value;
    for (let parent = this.parents.get(root); parent !== undefined; parent = this.parents.get(root)) root = parent;
    if (root !== value) this.parents.set(value, root);
    return root;
  }

  join(a: string, b: string): void {
    const [from, to] = [this.rootOf(a), this.rootOf(b)];
    if (from !== to) this.parents.set(from, to);
  }
}

/** What the sigmoid gives lies in 0..1, and kernels for it want just this. */
const sigmoidAffine = (type: ActivationType): Affine => ({ type, scale: 1 / 256, zeroPoint: lowestOf(type) });

/** The value that a quantised node gives, behind the Relu or Clip that belongs to it. */
export const resultsOf = (node: Node, choice: Choice): readonly string[] => (choice.folded.get(node) ?? node).outputs;

function rangeOf(name: string, model: Model, ranges: Ranges): Range {
  const constant = model.graph.initializers.get(name);
  if (constant?.type === 'float32') {
    const range = new RunningRange();
    range.add(constant.data);
    return range.range();
  }
  const range = ranges.tensors.get(name);
  if (range && Number.isFinite(range.min) && Number.isFinite(range.max) && range.min <= range.max) return range;
  throw new AppError('INPUT_INVALID', {
    message: range ? `The range of "${name}" is [${range.min}, ${range.max}].` : `There is no range for the value "${name}".`,
    hint: 'Calibrate this very model.',
    data: { tensor: name },
  });
}

/** Activation values in the quantised part of the model, in a fixed order. */
function quantisedValues(model: Model, choice: Choice): string[] {
  const values = new Set<string>();
  const clamps = new Set(choice.folded.values());
  for (const node of model.graph.nodes) {
    const rule = ruleOf(node);
    if (!rule || !choice.quantised.has(node) || clamps.has(node)) continue;
    for (const name of [...operandsOf(node, rule), ...resultsOf(node, choice)]) if (name !== '') values.add(name);
  }
  return [...values];
}

/** Joins inputs and outputs of the nodes that only move values. @returns the names of what they give. */
function joinMoved(model: Model, choice: Choice, groups: Groups): Set<string> {
  const moved = new Set<string>();
  for (const node of model.graph.nodes) {
    const rule = ruleOf(node);
    if (rule?.kind !== 'move' || !choice.quantised.has(node)) continue;
    const outputs = node.outputs.filter((name) => name !== '');
    for (const output of outputs) moved.add(output);
    for (const name of [...operandsOf(node, rule), ...outputs.slice(1)]) groups.join(name, outputs[0] ?? name);
  }
  return moved;
}

/** Kernels shift their sums right by as much as is wanted, but left by less than 8 bits. */
const LARGEST_GAIN = 128;

function largestMagnitude(tensor: TensorData | undefined): number {
  return tensor?.type === 'float32' ? tensor.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) : 0;
}

/** Steps of a node's result are not smaller than this, or engines refuse to compute it in int8. */
function leastScale(node: Node, model: Model, scaleOf: (value: string) => number): number {
  const inputs = node.inputs.map(scaleOf);
  const [a = 0, b = 0] = inputs;
  if (ruleOf(node)?.kind === 'weighted')
    return (a * largestMagnitude(model.graph.initializers.get(node.inputs[1] ?? ''))) / LARGEST_WEIGHT / LARGEST_GAIN;
  if (node.op === 'Mul') return (a * b) / LARGEST_GAIN;
  return node.op === 'Add' || node.op === 'Sub' ? Math.max(a, b) / LARGEST_GAIN : 0;
}

/**
 * Chooses a scale for each quantised value from the calibrated ranges.
 *
 * A group of values that are moved into each other shares the union of their ranges. The result of a Sigmoid keeps its
 * own scale unless the whole group comes from Sigmoids; where it enters another group it is quantised anew. A result that
 * is tiny against what it is computed from gets a coarser scale, which int8 kernels can give.
 *
 * @throws AppError INPUT_INVALID naming the value that has no range.
 */
export function chooseScales(model: Model, choice: Choice, ranges: Ranges, type: ActivationType): Scales {
  const groups = new Groups();
  const moved = joinMoved(model, choice, groups);
  const sigmoids = new Set(
    model.graph.nodes.filter((node) => node.op === 'Sigmoid' && choice.quantised.has(node)).flatMap((node) => node.outputs),
  );
  const wide = new Map<string, Range>();
  const mixed = new Set<string>();
  for (const value of quantisedValues(model, choice)) {
    const root = groups.rootOf(value);
    const { min, max } = rangeOf(value, model, ranges);
    const known = wide.get(root) ?? { min: 0, max: 0 };
    wide.set(root, { min: Math.min(known.min, min), max: Math.max(known.max, max) });
    if (!sigmoids.has(value) && !moved.has(value)) mixed.add(root);
  }
  const affines = new Map<string, Affine>();
  for (const [root, range] of wide) affines.set(root, mixed.has(root) ? affineOf(range, type) : sigmoidAffine(type));
  const ofGroup = (value: string): Affine => affines.get(groups.rootOf(value)) ?? sigmoidAffine(type);
  const own = (value: string): Affine => (sigmoids.has(value) ? sigmoidAffine(type) : ofGroup(value));
  for (const node of model.graph.nodes) {
    if (!choice.quantised.has(node)) continue;
    const root = groups.rootOf(resultsOf(node, choice)[0] ?? '');
    const affine = affines.get(root);
    const least = leastScale(node, model, (value) => own(value).scale);
    if (affine && mixed.has(root) && affine.scale < least) affines.set(root, { ...affine, scale: toScale(least) });
  }
  return { of: own, forUser: (value, user) => (ruleOf(user)?.kind === 'move' ? ofGroup(value) : own(value)) };
}
