import { AppError } from '@selvedge/contract';
import { inferShapes, type Model, type Node } from '@selvedge/graph/onnx';

type Shapes = ReturnType<typeof inferShapes>;

function product(sizes: readonly (number | null)[]): number {
  return sizes.reduce<number>((total, size) => total * (size ?? 1), 1);
}

/** Multiply-accumulates of one node; shapes are those of the ONNX operators. */
function macsOf(node: Node, shapes: Shapes): number {
  const shapeOf = (name: string | undefined) => shapes.get(name ?? '')?.shape ?? [];
  const [data, weights, output] = [shapeOf(node.inputs[0]), shapeOf(node.inputs[1]), shapeOf(node.outputs[0])];
  switch (node.op) {
    case 'Conv': // weights: [outputs, inputs of a group, ...kernel]
      return product(output) * product(weights.slice(1));
    case 'ConvTranspose': // weights: [inputs, outputs of a group, ...kernel]
      return product(data) * product(weights.slice(1));
    case 'Gemm': // weights: [inputs, outputs] or the other way round
      return product(output.slice(0, 1)) * product(weights);
    case 'MatMul':
      return product(output) * (data.at(-1) ?? 1);
    default:
      return 0;
  }
}

/**
 * Multiply-accumulate operations of one inference with a batch of 1.
 *
 * @returns undefined when the model has operators whose shapes are not known.
 */
export function countMacs(model: Model): number | undefined {
  try {
    const shapes = inferShapes(model, { batch: 1 });
    return model.graph.nodes.reduce((total, node) => total + macsOf(node, shapes), 0);
  } catch (error) {
    if (error instanceof AppError && error.code === 'OP_UNSUPPORTED') return undefined;
    throw error;
  }
}
