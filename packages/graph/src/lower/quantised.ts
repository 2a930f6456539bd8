import { intAttribute, type Node } from '../onnx/index.ts';
import { resolveAxis } from '../onnx/shapes/rule.ts';
import type { QuantParams } from './ir.ts';
import type { Network, Wiring } from './network.ts';

export function sameQuant(a: QuantParams, b: QuantParams): boolean {
  return a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}

/** uint8 is stored as int8, 128 lower: the real numbers stay the same. */
const UNSIGNED_SHIFT = 128;

/**
 * Parameters of a QuantizeLinear or DequantizeLinear of int8 or uint8 with one scale for the whole tensor.
 * Undefined for every other kind.
 */
export function quantParamsOf(network: Network, node: Node): QuantParams | undefined {
  const scale = network.constants.get(node.inputs[1] ?? '');
  const zero = network.constants.get(node.inputs[2] ?? '');
  const type =
    zero?.type ?? (node.op === 'QuantizeLinear' ? network.types.get(node.outputs[0] ?? '') : network.types.get(node.inputs[0] ?? ''))?.type;
  if (scale?.type !== 'float32' || scale.data.length !== 1 || (zero && zero.data.length !== 1)) return undefined;
  const value = scale.data[0] ?? 0;
  const zeroPoint = Number(zero?.data[0] ?? 0);
  // Smaller scales than the smallest normal float are refused by engines.
  if (!(value >= 1.2e-38 && Number.isFinite(value))) return undefined;
  if (type === 'int8') return { scale: value, zeroPoint };
  return type === 'uint8' ? { scale: value, zeroPoint: zeroPoint - UNSIGNED_SHIFT } : undefined;
}

/** Integers of a dequantised constant, as int8. */
export interface Int8Constant {
  readonly dims: readonly number[];
  readonly data: Int8Array;
  /** One, or one per entry of the dimension `axis`. */
  readonly scales: Float32Array;
  readonly zeroPoints: readonly number[];
  readonly axis: number;
}

/** The integers that a DequantizeLinear makes the named value from, where they are a constant of int8 or uint8. */
export function int8ConstantOf(network: Network, wiring: Wiring, name: string | undefined): Int8Constant | undefined {
  const maker = wiring.makers.get(name ?? '');
  if (maker?.op !== 'DequantizeLinear') return undefined;
  const stored = network.constants.get(maker.inputs[0] ?? '');
  const scales = network.constants.get(maker.inputs[1] ?? '');
  const zero = network.constants.get(maker.inputs[2] ?? '');
  if ((stored?.type !== 'int8' && stored?.type !== 'uint8') || scales?.type !== 'float32') return undefined;
  if (intAttribute(maker, 'block_size', 0) !== 0 || !scales.data.every((scale) => scale >= 1.2e-38 && Number.isFinite(scale)))
    return undefined;
  const shift = stored.type === 'uint8' ? UNSIGNED_SHIFT : 0;
  const data = stored.type === 'int8' ? stored.data : Int8Array.from(stored.data, (value) => value - shift);
  const zeroPoints = Array.from(scales.data, (_, i) => Number(zero?.data[i] ?? 0) - shift);
  const axis = resolveAxis(intAttribute(maker, 'axis', 1), stored.dims.length) ?? 0;
  return { dims: stored.dims, data, scales: scales.data, zeroPoints, axis };
}
