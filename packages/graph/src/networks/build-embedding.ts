import { AppError, type Layer } from '@selvedge/contract';
import { buildNetwork, checkWidth, extendModel, inferShapes, type Model, type NetworkPreset, widened } from '../onnx/index.ts';

export interface EmbeddingSpec {
  /** [channels, height, width] of one picture. */
  readonly inputShape: readonly [number, number, number];
  /** Length of the vector; 2..2048. */
  readonly size: number;
  /**
   * The network; it ends with `classifier`, which gives `size` values. Default: three convolutions with normalization and
   * pooling, after which each place keeps its own features: where a colour is matters as much as which.
   */
  readonly layers?: readonly Layer[] | NetworkPreset;
  /** Factor on the channels of the default (16 to 64) and of `mobilenet-tiny`; 0.25..4, default 1. */
  readonly width?: number;
  /** Seeds the weights; 0..2^32-1. */
  readonly seed: number;
}

const block = (filters: number): readonly Layer[] => [{ conv: { filters, kernel: 3 } }, 'batchnorm', 'relu', { averagepool: 2 }];

function defaultLayers(width: number): readonly Layer[] {
  checkWidth(width);
  return [...[16, 32, 64].flatMap((channels) => block(widened(channels, width))), 'classifier'];
}

/** Added to the squared length, so that a vector of zeros stays one. */
const EPSILON = 1e-12;

/**
 * Builds an untrained network whose output "embedding" [N, size] has length 1: pictures of one identity shall come to lie
 * near each other, so that the scalar product of two is their likeness. The same spec gives the same bytes.
 *
 * Train it with the loss `{ kind: 'identity', identities }` on indices of identities; measure it with `retrievalMetrics` on
 * identities that it has not seen.
 *
 * @throws AppError INPUT_INVALID when size or width are out of range; SHAPE_MISMATCH as `buildNetwork`.
 */
export function buildEmbedding({ inputShape, size, layers, width = 1, seed }: EmbeddingSpec): Model {
  if (!Number.isSafeInteger(size) || size < 2 || size > 2048)
    throw new AppError('INPUT_INVALID', { message: `The length of an embedding is 2 to 2048, not ${size}.` });
  const network = buildNetwork({ layers: layers ?? defaultLayers(width), inputShape, classes: size, width, seed });
  const model = extendModel(network, [], (graph) => {
    const features = network.graph.outputs[0]?.name ?? '';
    const squares = graph.sum(graph.op('Mul', [features, features]), [1], true);
    const length = graph.op('Sqrt', [graph.op('Add', [squares, graph.scalar(EPSILON)])]);
    graph.opInto('Div', [features, length], ['embedding']);
    return 'embedding';
  });
  inferShapes(model);
  const outputs = [{ name: 'embedding', type: 'float32', shape: ['N', size] }] as const;
  return { ...model, graph: { ...model.graph, name: 'embedding', outputs } };
}
