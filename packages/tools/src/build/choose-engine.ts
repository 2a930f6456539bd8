import { AppError, type BuildOptions, type EngineName } from '@selvedge/contract';
import { type IrGraph, lowerModel } from '@selvedge/graph/lower';
import { type Model, readModel } from '@selvedge/graph/onnx';

/** A model and the engine that is to compute it; `graph` is what xnnpack runs. */
export type EnginePlan =
  | { readonly engine: 'xnnpack'; readonly graph: IrGraph; readonly notes: readonly string[] }
  | { readonly engine: 'onnxruntime'; readonly graph: undefined; readonly notes: readonly string[] };

const MAX_LISTED = 20;

const onnxruntime = (notes: readonly string[]): EnginePlan => ({ engine: 'onnxruntime', graph: undefined, notes });

/**
 * Reads the model as far as building needs it.
 *
 * @returns undefined when it holds something that only ONNX Runtime knows, and that engine may be taken.
 * @throws AppError MODEL_INVALID; OP_UNSUPPORTED (user) with `engine: xnnpack`.
 */
export function readForBuild(bytes: Uint8Array, wanted: BuildOptions['engine'], log: (text: string) => void): Model | undefined {
  try {
    return readModel(bytes);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'OP_UNSUPPORTED' || wanted === 'xnnpack') throw error;
    log(`the model is passed on to ONNX Runtime as it is: ${error.message}`);
    return undefined;
  }
}

/**
 * Chooses what computes a model.
 *
 * @throws AppError OP_UNSUPPORTED (user) with `engine: xnnpack`, naming every node that it does not have.
 */
export function chooseEngine(model: Model | undefined, wanted: EngineName | 'auto'): EnginePlan {
  if (wanted === 'onnxruntime') return onnxruntime([]);
  if (model === undefined) return onnxruntime(['engine onnxruntime: the model holds what only ONNX Runtime reads']);
  const lowered = lowerModel(model);
  if ('graph' in lowered) return { engine: 'xnnpack', graph: lowered.graph, notes: [] };
  const { unsupported } = lowered;
  const lines = unsupported.slice(0, MAX_LISTED).map(({ node, op, reason }) => `${op} "${node}": ${reason}`);
  const more = unsupported.length - lines.length;
  if (more > 0) lines.push(`and ${more} more`);
  if (wanted === 'auto') return onnxruntime(lines.map((line) => `engine onnxruntime, because xnnpack does not have ${line}`));
  throw new AppError('OP_UNSUPPORTED', {
    message: `The engine xnnpack does not have ${unsupported.length} of the model's nodes: ${lines.join('; ')}`,
    hint: 'Leave the engine out, or choose onnxruntime.',
    issues: unsupported.slice(0, MAX_LISTED).map(({ node, op, reason }) => ({ path: node, message: `${op}: ${reason}` })),
  });
}
