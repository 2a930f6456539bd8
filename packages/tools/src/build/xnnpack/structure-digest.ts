import { createHash } from 'node:crypto';
import type { IrGraph, IrValue } from '@selvedge/graph/lower';
import { WEIGHTS_VERSION } from './weights-file.ts';

function valueStructure({ type, dims, constant, quant }: IrValue): unknown[] {
  return [type, dims, constant !== undefined, constant && 'channelAxis' in constant ? constant.channelAxis : -1, quant !== undefined];
}

/** JSON has no infinities, which stand for "no bound". */
const plain = (_key: string, value: unknown): unknown => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value);

/**
 * SHA-256 of everything that generated code depends on: operations, shapes, names of inputs and outputs, but neither weights nor
 * quantisation parameters. Two trainings of one network have the same.
 */
export function structureDigest(graph: IrGraph): Uint8Array {
  const ports = [graph.inputs, graph.outputs];
  const structure = [WEIGHTS_VERSION, graph.values.map(valueStructure), graph.ops, ports];
  return createHash('sha256').update(JSON.stringify(structure, plain)).digest();
}
