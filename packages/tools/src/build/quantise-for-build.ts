import type { BuildOptions } from '@selvedge/contract';
import { type Model, writeModel } from '@selvedge/graph/onnx';
import { calibrate, compareLayers, quantiseModel, type Ranges, sensitivity } from '@selvedge/graph/quantise';
import { DEFAULT_CALIBRATION_SAMPLES } from './parameters.ts';
import type { BuildSamples, Score } from './samples.ts';

/** Samples that the noise of layers is measured on. */
const COMPARED_SAMPLES = 32;
const SHOWN_LAYERS = 5;
const TRIED_LAYERS = 3;

export interface QuantiseRequest {
  readonly model: Model;
  readonly samples: BuildSamples;
  readonly calibration: BuildOptions['calibration'];
  /** `uint8` is the fast one for ONNX Runtime on x86; `int8` everywhere else. */
  readonly activationType: 'int8' | 'uint8';
  readonly signal: AbortSignal;
  log(text: string): void;
}

export interface QuantisedBuild {
  readonly model: Model;
  readonly bytes: Uint8Array;
  readonly ranges: Ranges;
  /** How many nodes compute in int8. */
  readonly nodes: number;
  /** Names of the layers whose results suffer most, worst first. */
  readonly worst: readonly string[];
  readonly notes: readonly string[];
}

/** Calibrates on training samples and quantises, and tells which layers lost most. */
export async function quantiseForBuild(request: QuantiseRequest): Promise<QuantisedBuild> {
  const { model, samples, calibration = {}, activationType, signal, log } = request;
  const input = model.graph.inputs[0];
  const batch = typeof input?.shape?.[0] === 'number' ? input.shape[0] : null;
  const method = calibration.method ?? 'percentile';
  const batches = samples.calibration(input?.name ?? '', calibration.samples ?? DEFAULT_CALIBRATION_SAMPLES, batch);
  log(`calibrating (${method}) on ${batches.count} training samples`);
  const ranges = await calibrate(model, batches, { method, signal });
  const quantised = quantiseModel(model, ranges, { activationType });
  const noise = await compareLayers(model, quantised.model, samples.calibration(input?.name ?? '', COMPARED_SAMPLES, batch), { signal });
  const worst = noise.slice(0, SHOWN_LAYERS);
  const notes = [`int8: ${quantised.quantised.length} nodes quantised by ${method} on ${batches.count} samples`];
  if (worst.length > 0) {
    const shown = worst.map(({ node, op, sqnrDb }) => `${op} "${node}" ${sqnrDb.toFixed(1)} dB`);
    notes.push(`int8: least signal over noise: ${shown.join(', ')}`);
  }
  for (const { node, op, reason } of quantised.kept) notes.push(`int8: ${op} "${node}" stays in float: ${reason}`);
  return {
    model: quantised.model,
    bytes: writeModel(quantised.model),
    ranges,
    nodes: quantised.quantised.length,
    worst: worst.map(({ node }) => node),
    notes,
  };
}

/** What the score would be with one layer left in float, for those that hurt most. */
export async function explainLoss(request: QuantiseRequest, quantised: QuantisedBuild, metric: Score['metric']): Promise<string[]> {
  const { model, samples, signal, activationType } = request;
  const evaluate = async (candidate: Model) => (await samples.score(writeModel(candidate), signal)).value;
  const found = await sensitivity(model, quantised.ranges, evaluate, {
    layers: quantised.worst,
    limit: TRIED_LAYERS,
    activationType,
    signal,
  });
  return found.layers
    .filter(({ change }) => change > 0)
    .map(({ node, score, change }) => `int8: with "${node}" in float ${metric} would be ${score.toFixed(4)} (+${change.toFixed(4)})`);
}
