import { floatAttribute, type Node } from '../onnx/index.ts';
import type { Bounds } from './ir.ts';
import { type Network, scalarOf } from './network.ts';

function clipBound(network: Network, node: Node, index: number, name: 'min' | 'max', open: number): number | undefined {
  if (network.opset < 11) return floatAttribute(node, name, open);
  return (node.inputs[index] ?? '') === '' ? open : scalarOf(network, node.inputs[index]);
}

/** Bounds of a node that does nothing but clip its input; undefined for every other node. */
export function clampOf(network: Network, node: Node): Bounds | undefined {
  if (node.op === 'Relu') return { min: 0, max: Infinity };
  if (node.op !== 'Clip') return undefined;
  const min = clipBound(network, node, 1, 'min', -Infinity);
  const max = clipBound(network, node, 2, 'max', Infinity);
  // Exporters write "no bound" as the largest float.
  const open = 3.4e38;
  if (min === undefined || max === undefined) return undefined;
  return { min: min < -open ? -Infinity : min, max: max > open ? Infinity : max };
}

/** Clipping to `first`, then to `second`. */
export function narrowed(first: Bounds, second: Bounds): Bounds {
  const clip = (value: number) => Math.min(Math.max(value, second.min), second.max);
  return { min: clip(first.min), max: clip(first.max) };
}
