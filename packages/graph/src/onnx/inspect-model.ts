import { AppError, type TensorSpec, tensorSpecSchema } from '@selvedge/contract';
import { type Model, opsetOf, type ValueInfo } from './model.ts';
import { writeModel } from './write-model.ts';

/** What one sees of a model from outside. */
export interface ModelInspection {
  readonly inputs: TensorSpec[];
  readonly outputs: TensorSpec[];
  /** How many nodes of each operator; operators outside the standard domain as `domain::Op`. */
  readonly opCounts: Record<string, number>;
  /** Elements of all floating-point initializers: weights, biases and running statistics. */
  readonly parameterCount: number;
  /** Version of the standard operator set. */
  readonly opset: number;
  readonly irVersion: number;
  readonly producer: string;
  /** Size of the encoded model. */
  readonly sizeBytes: number;
}

function specOf(info: ValueInfo): TensorSpec {
  const spec = { name: info.name, dataType: info.type, shape: (info.shape ?? []).map((dim) => (typeof dim === 'number' ? dim : null)) };
  const parsed = tensorSpecSchema.safeParse(spec);
  if (!parsed.success) {
    throw new AppError(
      'OP_UNSUPPORTED',
      { message: `"${info.name}" has the type ${info.type}, which models here cannot take or give.` },
      { cause: parsed.error },
    );
  }
  return parsed.data;
}

/**
 * Describes a model without running it; any operators will do.
 *
 * @param sizeBytes - size of the file where the caller has it; else the model is encoded to measure it.
 * @throws AppError OP_UNSUPPORTED when an input or output has an element type outside the contract's TensorSpec.
 */
export function inspectModel(model: Model, sizeBytes?: number): ModelInspection {
  const opCounts = new Map<string, number>();
  for (const node of model.graph.nodes) {
    const op = node.domain === '' ? node.op : `${node.domain}::${node.op}`;
    opCounts.set(op, (opCounts.get(op) ?? 0) + 1);
  }
  let parameterCount = 0;
  for (const tensor of model.graph.initializers.values()) {
    if (tensor.type === 'float32' || tensor.type === 'float16' || tensor.type === 'bfloat16' || tensor.type === 'float64')
      parameterCount += tensor.data.length;
  }
  return {
    inputs: model.graph.inputs.map(specOf),
    outputs: model.graph.outputs.map(specOf),
    opCounts: Object.fromEntries(opCounts),
    parameterCount,
    opset: opsetOf(model),
    irVersion: model.irVersion,
    producer: model.producer,
    sizeBytes: sizeBytes ?? writeModel(model).byteLength,
  };
}
