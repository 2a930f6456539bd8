import type { IrGraph, IrOp, IrValue } from './ir.ts';

/** Values that an operation reads. */
function operandsOf(op: IrOp): number[] {
  switch (op.op) {
    case 'conv2d':
    case 'depthwise2d':
    case 'deconv2d':
    case 'fullyConnected':
      return [op.x, op.weights, op.bias];
    case 'binary':
    case 'matMul':
      return [op.a, op.b];
    case 'concat':
      return [...op.xs];
    default:
      return [op.x];
  }
}

function renumbered(op: IrOp, of: (id: number) => number): IrOp {
  switch (op.op) {
    case 'conv2d':
    case 'depthwise2d':
    case 'deconv2d':
    case 'fullyConnected':
      return { ...op, x: of(op.x), weights: of(op.weights), bias: of(op.bias), y: of(op.y) };
    case 'binary':
    case 'matMul':
      return { ...op, a: of(op.a), b: of(op.b), y: of(op.y) };
    case 'concat':
      return { ...op, xs: op.xs.map(of), y: of(op.y) };
    default:
      return { ...op, x: of(op.x), y: of(op.y) };
  }
}

/** The graph without what no output needs; inputs come first, then outputs, then the rest in order of use. */
export function pruned(graph: IrGraph): IrGraph {
  const needed = new Set(graph.outputs.map((port) => port.value));
  const kept: IrOp[] = [];
  for (const op of graph.ops.toReversed()) {
    if (!needed.has(op.y)) continue;
    kept.push(op);
    for (const id of operandsOf(op)) needed.add(id);
  }
  kept.reverse();
  const ids = new Map<number, number>();
  const number = (id: number): number => {
    const found = ids.get(id) ?? ids.size;
    ids.set(id, found);
    return found;
  };
  for (const port of [...graph.inputs, ...graph.outputs]) number(port.value);
  for (const op of kept) for (const id of [...operandsOf(op), op.y]) number(id);
  const values: IrValue[] = [];
  for (const [old, id] of ids) {
    const value = graph.values[old];
    if (value) values[id] = value;
  }
  return {
    values,
    ops: kept.map((op) => renumbered(op, number)),
    inputs: graph.inputs.map((port) => ({ ...port, value: number(port.value) })),
    outputs: graph.outputs.map((port) => ({ ...port, value: number(port.value) })),
  };
}
