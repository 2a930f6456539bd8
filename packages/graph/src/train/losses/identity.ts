import { AppError } from '@selvedge/contract';
import { extendModel } from '../../onnx/extend-model.ts';
import { attribute, createRandom, float32Tensor, inferShapes, type Model } from '../../onnx/index.ts';
import { feedName } from '../feeds.ts';
import { emitPlain, oneHot, scoresShape } from './cross-entropy.ts';
import type { IdentityLoss, LossHead } from './loss.ts';

const VECTORS = feedName('identities');
const DEFAULTS = { scale: 16, margin: 0.2 };

/** Length of the model's output vectors. */
function embeddingSize(model: Model): number {
  const shape = inferShapes(model).get(model.graph.outputs[0]?.name ?? '')?.shape ?? [];
  const [, size] = shape;
  if (shape.length !== 2 || typeof size !== 'number')
    throw new AppError('SHAPE_MISMATCH', {
      message: `The loss of identities needs an output [N, size]; the model gives [${shape.map((dim) => dim ?? '?').join(', ')}].`,
    });
  return size;
}

/** scale * cosine of each sample with each identity, [N, identities]; the model's outputs have length 1 already. */
function extend(model: Model, identities: number, scale: number, seed: number): Model {
  const size = embeddingSize(model);
  const random = createRandom(seed, identities);
  const first = Float32Array.from({ length: identities * size }, () => random.normal());
  const extended = extendModel(model, [], (graph) => {
    const length = graph.op('Sqrt', [graph.sum(graph.op('Mul', [VECTORS, VECTORS]), [1], true)]);
    const unit = graph.op('Div', [VECTORS, length]);
    return graph.op('Gemm', [model.graph.outputs[0]?.name ?? '', unit], { transB: attribute.int(1), alpha: attribute.float(scale) });
  });
  const initializers = new Map([...extended.graph.initializers, [VECTORS, float32Tensor([identities, size], first)]]);
  return { ...extended, graph: { ...extended.graph, initializers } };
}

export function identityHead(spec: Omit<IdentityLoss, 'kind'>): LossHead {
  const { identities, scale = DEFAULTS.scale, margin = DEFAULTS.margin, seed = 0 } = spec;
  if (!Number.isSafeInteger(identities) || identities < 2)
    throw new AppError('INPUT_INVALID', { message: `There must be at least 2 identities to tell apart, not ${identities}.` });
  return {
    contains: [],
    extend: (model) => extend(model, identities, scale, seed),
    labels: (shape) => ({ type: 'int64', dims: [scoresShape('identity', shape).batch], classes: identities }),
    emit: (graph, z, y, shape) => {
      const reduced = graph.op('Sub', [z, oneHot(graph, y, identities, scale * margin)]);
      return emitPlain(graph, reduced, y, scoresShape('identity', shape));
    },
  };
}
