import type { Model } from '../onnx/index.ts';
import type { Ranges } from './calibrate.ts';
import { type QuantiseOptions, quantiseModel } from './quantise-model.ts';

/** Scores a model on the task's metric. */
export type Evaluate = (model: Model) => Promise<number>;

export interface SensitivityOptions extends QuantiseOptions {
  /** Names of nodes to try, worst first: those of `compareLayers`. */
  readonly layers: readonly string[];
  /** How many of them to try; default 5. Each costs one evaluation. */
  readonly limit?: number;
  /** Called after each evaluation, the one of the model with nothing more in float included. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the work between two evaluations. */
  readonly signal?: AbortSignal;
}

export interface Sensitivity {
  /** Score of the model as the options alone quantise it. */
  readonly score: number;
  /** In the order of `layers`. */
  readonly layers: readonly {
    readonly node: string;
    /** Score with this node left in float. */
    readonly score: number;
    /** That score less the one of the quantised model. */
    readonly change: number;
  }[];
}

const DEFAULT_LIMIT = 5;

/**
 * Tells what the score would be if one layer were left in float, for the layers that hurt most, so that `skip` can be
 * chosen. A name that comes twice, or that `skip` holds already, is tried once or not at all.
 *
 * @throws AppError as `quantiseModel`; whatever `evaluate` throws; the signal's reason when it is aborted.
 */
export async function sensitivity(model: Model, ranges: Ranges, evaluate: Evaluate, options: SensitivityOptions): Promise<Sensitivity> {
  const { layers, limit = DEFAULT_LIMIT, onProgress, signal, ...quantise } = options;
  const skip = quantise.skip ?? [];
  const tried = [...new Set(layers)].filter((name) => !skip.includes(name)).slice(0, Math.max(0, limit));
  const total = tried.length + 1;
  let done = 0;
  const scoreWithout = async (names: readonly string[]): Promise<number> => {
    signal?.throwIfAborted();
    const score = await evaluate(quantiseModel(model, ranges, { ...quantise, skip: [...skip, ...names] }).model);
    onProgress?.(++done, total);
    return score;
  };
  const score = await scoreWithout([]);
  const results: Sensitivity['layers'][number][] = [];
  for (const node of tried) {
    const changed = await scoreWithout([node]);
    results.push({ node, score: changed, change: changed - score });
  }
  return { score, layers: results };
}
