import { attribute, floatAttribute, intAttribute, makeNode, type Node } from '../../onnx/index.ts';
import { axesOperand } from '../../onnx/shapes/operands.ts';
import { clampOf } from '../clamp.ts';
import { knownShape, type Network, scalarOf, type Wiring, wiringOf } from '../network.ts';

interface Search {
  readonly network: Network;
  readonly wiring: Wiring;
}

const near = (value: number | undefined, wanted: number): boolean =>
  value !== undefined && Math.abs(value - wanted) <= 1e-3 * Math.abs(wanted);

/** The operand that is not the given one; undefined when the node does not have exactly these two. */
function otherInput(node: Node, name: string | undefined): string | undefined {
  const [a, b] = node.inputs;
  if (node.inputs.length !== 2) return undefined;
  return a === name ? b : b === name ? a : undefined;
}

/** The operand of a product or quotient with one constant: `x * factor`. */
function scaledBy({ network }: Search, node: Node | undefined): { x: string | undefined; factor: number } | undefined {
  if (!node || (node.op !== 'Mul' && node.op !== 'Div')) return undefined;
  const [a, b] = node.inputs;
  const [left, right] = [scalarOf(network, a), scalarOf(network, b)];
  if (right !== undefined) return { x: a, factor: node.op === 'Mul' ? right : 1 / right };
  return node.op === 'Mul' && left !== undefined ? { x: b, factor: left } : undefined;
}

/** The operand and the constant of a sum. */
function sumWith({ network }: Search, node: Node | undefined): { x: string | undefined; summand: number } | undefined {
  if (node?.op !== 'Add') return undefined;
  const [a, b] = node.inputs;
  const [left, right] = [scalarOf(network, a), scalarOf(network, b)];
  if (right !== undefined) return { x: a, summand: right };
  return left === undefined ? undefined : { x: b, summand: left };
}

function replacement(op: string, inputs: readonly string[], last: Node, attributes: Node['attributes'] = {}): Node {
  return makeNode(op, inputs, [last.outputs[0] ?? ''], attributes, last.name);
}

/** 0.5 x (1 + erf(x / sqrt 2)), with the half anywhere. */
function gelu(search: Search, erf: Node): Node | undefined {
  if (erf.op !== 'Erf') return undefined;
  const { wiring } = search;
  const inner = scaledBy(search, wiring.makers.get(erf.inputs[0] ?? ''));
  const plus = wiring.soleUser(erf.outputs[0]);
  const product = plus && wiring.soleUser(plus.outputs[0]);
  if (!inner?.x || !near(inner.factor, Math.SQRT1_2) || !near(sumWith(search, plus)?.summand, 1) || product?.op !== 'Mul') return undefined;
  const other = otherInput(product, plus?.outputs[0]);
  const halved = scaledBy(search, wiring.makers.get(other ?? ''));
  if (halved?.x === inner.x && near(halved.factor, 0.5)) return replacement('Gelu', [inner.x], product);
  const half = wiring.soleUser(product.outputs[0]);
  const outer = scaledBy(search, half);
  if (other === inner.x && half && near(outer?.factor, 0.5)) return replacement('Gelu', [inner.x], half);
  return undefined;
}

/** The x of clip(x + 3, 0, 6), by the name of the result. */
function clippedShift(search: Search, name: string | undefined): string | undefined {
  const clip = search.wiring.makers.get(name ?? '');
  const bounds = clip && clampOf(search.network, clip);
  const shift = clip && sumWith(search, search.wiring.makers.get(clip.inputs[0] ?? ''));
  return bounds?.min === 0 && bounds.max === 6 && shift?.summand === 3 ? shift.x : undefined;
}

/** The x that the named value is the "hard sigmoid" of: clip(x + 3, 0, 6) / 6. */
function hardSigmoidOf(search: Search, name: string | undefined): string | undefined {
  const maker = search.wiring.makers.get(name ?? '');
  if (maker?.op === 'HardSigmoid') {
    const fits = near(floatAttribute(maker, 'alpha', 0.2), 1 / 6) && floatAttribute(maker, 'beta', 0.5) === 0.5;
    return fits ? maker.inputs[0] : undefined;
  }
  const scaled = scaledBy(search, maker);
  return scaled && near(scaled.factor, 1 / 6) ? clippedShift(search, scaled.x) : undefined;
}

/** x * hardsigmoid(x), or x * clip(x + 3, 0, 6) / 6. */
function hardSwish(search: Search, product: Node): Node | undefined {
  if (product.op !== 'Mul') return undefined;
  for (const [a, b] of [product.inputs, product.inputs.toReversed()]) {
    if (a === undefined || b === undefined) continue;
    if (hardSigmoidOf(search, b) === a) return replacement('HardSwish', [a], product);
    const sixth = search.wiring.soleUser(product.outputs[0]);
    if (clippedShift(search, b) === a && sixth && near(scaledBy(search, sixth)?.factor, 1 / 6)) return replacement('HardSwish', [a], sixth);
  }
  return undefined;
}

/** Axes of a mean that keeps its dimensions; they must be the last ones. */
function trailingMean({ network }: Search, node: Node | undefined, x: string): number | undefined {
  const rank = knownShape(network, x)?.length;
  if (node?.op !== 'ReduceMean' || rank === undefined || intAttribute(node, 'keepdims', 1) === 0) return undefined;
  const axes = axesOperand({ node, opset: network.opset, constant: (index) => network.constants.get(node.inputs[index] ?? '') }, rank);
  if (axes === null || typeof axes === 'string') return undefined;
  return axes.every((axis, i) => axis === rank - axes.length + i) ? axes[0] : undefined;
}

interface Normalized {
  readonly x: string;
  readonly axis: number;
  readonly epsilon: number;
}

/** (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) */
function normalized(search: Search, quotient: Node): Normalized | undefined {
  const { makers } = search.wiring;
  const from = (name: string | undefined) => makers.get(name ?? '');
  const [centred, root] = quotient.inputs.map(from);
  const x = centred?.op === 'Sub' ? centred.inputs[0] : undefined;
  if (quotient.op !== 'Div' || !x || !centred || root?.op !== 'Sqrt') return undefined;
  const mean = from(centred.inputs[1]);
  const shifted = sumWith(search, from(root.inputs[0]));
  const variance = from(shifted?.x);
  const square = from(variance?.inputs[0]);
  const base = square?.inputs[0];
  const squared =
    square?.op === 'Pow' ? scalarOf(search.network, square.inputs[1]) === 2 : square?.op === 'Mul' && square.inputs[1] === base;
  // Some exporters subtract the mean twice.
  const again = from(base);
  const same = again?.op === 'Sub' && again.inputs[0] === x && again.inputs[1] === centred.inputs[1];
  if (!squared || !same || mean?.inputs[0] !== x || !shifted) return undefined;
  const axis = trailingMean(search, mean, x);
  return axis !== undefined && axis === trailingMean(search, variance, x) ? { x, axis, epsilon: shifted.summand } : undefined;
}

/** The normalisation with scale and shift behind it, where they are constants of its size. */
function layerNorm(search: Search, quotient: Node): Node | undefined {
  const found = normalized(search, quotient);
  if (!found) return undefined;
  const { network, wiring } = search;
  const inner = (knownShape(network, found.x) ?? []).slice(found.axis);
  const operand = (op: string, before: Node): { node: Node; name: string } | undefined => {
    const node = wiring.soleUser(before.outputs[0]);
    const name = node?.op === op ? otherInput(node, before.outputs[0]) : undefined;
    const dims = network.constants.get(name ?? '')?.dims;
    const lead = (dims?.length ?? 0) - inner.length;
    return node && name && dims?.every((size, i) => size === (inner[i - lead] ?? 1)) && lead >= 0 ? { node, name } : undefined;
  };
  const attributes = { axis: attribute.int(found.axis), epsilon: attribute.float(found.epsilon) };
  const scale = operand('Mul', quotient);
  if (!scale) return replacement('LayerNormalization', [found.x], quotient, attributes);
  const shift = operand('Add', scale.node);
  const inputs = [found.x, scale.name, ...(shift ? [shift.name] : [])];
  return replacement('LayerNormalization', inputs, shift?.node ?? scale.node, attributes);
}

/** Writes functions that exporters spell out as one node each. What the result no longer needs is left for `dropUnused`. */
export function matchPatterns(network: Network): void {
  const search: Search = { network, wiring: wiringOf(network) };
  const written = new Map<string, Node>();
  for (const node of network.nodes) {
    const found = gelu(search, node) ?? hardSwish(search, node) ?? layerNorm(search, node);
    const result = found?.outputs[0];
    if (found && result !== undefined) written.set(result, found);
  }
  network.nodes = network.nodes.map((node) => written.get(node.outputs[0] ?? '') ?? node);
}
