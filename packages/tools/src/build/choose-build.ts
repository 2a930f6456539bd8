import { AppError, type BuildOptions, type Precision } from '@selvedge/contract';
import { type Model, writeModel } from '@selvedge/graph/onnx';
import { chooseEngine, type EnginePlan, readForBuild } from './choose-engine.ts';
import { withHalfWeights } from './half-precision.ts';
import { DEFAULT_TOLERANCE } from './parameters.ts';
import { explainLoss, type QuantisedBuild, type QuantiseRequest, quantiseForBuild } from './quantise-for-build.ts';
import type { BuildSamples, Score } from './samples.ts';

/** What is to be built. */
export interface BuildChoice {
  readonly precision: Precision;
  readonly plan: EnginePlan;
  /** The model as trained; undefined when only ONNX Runtime can read it. */
  readonly model: Model | undefined;
  /** The ONNX file of the chosen precision. */
  readonly bytes: Uint8Array;
  /** Score on the test split as trained and as built; undefined without test data. */
  readonly trained: Score | undefined;
  readonly built: Score | undefined;
  readonly notes: readonly string[];
}

export interface ChoiceRequest {
  readonly bytes: Uint8Array;
  readonly build: BuildOptions;
  /** Name of the target, for messages. */
  readonly target: string;
  /** Some cores of the target compute in half precision. */
  readonly hasHalf: boolean;
  /** What ONNX Runtime computes in for int8 there. */
  readonly onnxruntimeActivations: 'int8' | 'uint8';
  readonly samples: BuildSamples | undefined;
  readonly signal: AbortSignal;
  log(text: string): void;
}

interface Base extends ChoiceRequest {
  readonly model: Model | undefined;
  readonly plan: EnginePlan;
  readonly trained: Score | undefined;
}

const points = (share: number): string => `${(share * 100).toFixed(2)} points`;

function asTrained({ model, plan, bytes, trained }: Base, notes: readonly string[] = []): BuildChoice {
  return { precision: 'fp32', plan, model, bytes, trained, built: trained, notes: [...plan.notes, ...notes] };
}

/** Why half precision cannot be built; undefined when it can. */
function halfObstacle({ plan, hasHalf, target }: Base): string | undefined {
  if (plan.engine !== 'xnnpack') return 'fp16 needs the engine xnnpack';
  return hasHalf ? undefined : `no core of ${target} computes in half precision`;
}

async function asHalf(base: Base): Promise<BuildChoice> {
  const { model, plan, bytes, trained, samples, signal } = base;
  const measured = model !== undefined && samples?.hasTest === true;
  const built = measured ? await samples.score(writeModel(withHalfWeights(model)), signal) : undefined;
  const notes = ['fp16 on cores that compute in half precision, fp32 on others'];
  return { precision: 'fp16', plan, model, bytes, trained, built, notes: [...plan.notes, ...notes] };
}

/** Why int8 cannot be built; undefined when it can. */
function int8Obstacle({ model, samples }: Base): string | undefined {
  if (samples === undefined) return 'int8 needs training samples to calibrate with: the input "samples" is missing';
  return model === undefined ? 'int8 needs a model that can be read: this one is passed on to ONNX Runtime as it is' : undefined;
}

async function asInt8(base: Base): Promise<BuildChoice> {
  const { model, samples, build, trained, signal, log } = base;
  if (model === undefined || samples === undefined)
    throw new AppError('INTERNAL', { message: 'int8 was not checked before it was built.' });
  const activationType = base.plan.engine === 'onnxruntime' ? base.onnxruntimeActivations : 'int8';
  const request: QuantiseRequest = { model, samples, calibration: build.calibration, activationType, signal, log };
  const quantised: QuantisedBuild = await quantiseForBuild(request);
  if (quantised.nodes === 0) {
    throw new AppError('OP_UNSUPPORTED', {
      message: 'The model has no node that can compute in int8.',
      hint: 'Build it with precision fp32.',
    });
  }
  const plan = chooseEngine(quantised.model, build.engine ?? 'auto');
  const built = samples.hasTest ? await samples.score(quantised.bytes, signal) : undefined;
  const notes = [...plan.notes, ...quantised.notes];
  if (trained !== undefined && built !== undefined) {
    notes.push(`int8: ${built.metric} ${trained.value.toFixed(4)} as trained, ${built.value.toFixed(4)} as built`);
    if (built.value < trained.value) notes.push(...(await explainLoss(request, quantised, built.metric)));
  }
  return { precision: 'int8', plan, model, bytes: quantised.bytes, trained, built, notes };
}

/** The fastest that loses no more than the tolerance; int8 is faster than fp16, and that than fp32. */
async function fastestWithin(base: Base): Promise<BuildChoice> {
  const { build, trained, samples } = base;
  const tolerance = build.tolerance ?? DEFAULT_TOLERANCE;
  if (trained === undefined || samples === undefined) {
    const missing = samples === undefined ? 'the input "samples" is missing' : 'there are no test samples';
    return asTrained(base, [`precision fp32: the loss of others cannot be measured, ${missing}`]);
  }
  const rejected: string[] = [];
  const candidates = [
    { precision: 'int8', obstacle: int8Obstacle(base), make: asInt8 },
    { precision: 'fp16', obstacle: halfObstacle(base), make: asHalf },
  ] as const;
  for (const { precision, obstacle, make } of candidates) {
    if (obstacle !== undefined) {
      rejected.push(`precision ${precision} is not possible: ${obstacle}`);
      continue;
    }
    const choice = await make(base).catch((error: unknown) => {
      if (!(error instanceof AppError) || error.code !== 'OP_UNSUPPORTED') throw error;
      rejected.push(`precision ${precision} is not possible: ${error.message}`);
      return undefined;
    });
    if (choice === undefined) continue;
    const loss = trained.value - (choice.built?.value ?? 0);
    const lost = loss > 0 ? `loses ${points(loss)}` : 'loses nothing';
    if (loss <= tolerance + 1e-9) {
      const why = `precision ${precision}: the fastest that stays within ${points(tolerance)}; it ${lost}`;
      return { ...choice, notes: [...choice.notes, ...rejected, why] };
    }
    rejected.push(`precision ${precision} ${lost}, more than ${points(tolerance)}`, ...choice.notes);
  }
  return asTrained(base, [...rejected, 'precision fp32: nothing faster stays within the tolerance']);
}

function refuse(reason: string): never {
  throw new AppError('INPUT_INVALID', {
    message: `The package cannot be built as asked: ${reason}.`,
    hint: 'Choose another precision, or give what is missing.',
  });
}

/**
 * Chooses engine and precision, quantising where that is asked for.
 *
 * @throws AppError INPUT_INVALID (user) when the precision cannot be had; OP_UNSUPPORTED (user) when the engine has not
 *   every operator; MODEL_INVALID; DATASET_FORMAT; the signal's reason.
 */
export async function chooseBuild(request: ChoiceRequest): Promise<BuildChoice> {
  const { bytes, build, samples, signal, log } = request;
  const model = readForBuild(bytes, build.engine, log);
  const plan = chooseEngine(model, build.engine ?? 'auto');
  const trained = samples?.hasTest === true ? await samples.score(bytes, signal) : undefined;
  const base: Base = { ...request, model, plan, trained };
  const wanted = build.precision ?? 'fp32';
  if (wanted === 'auto') return fastestWithin(base);
  if (wanted === 'fp32') return asTrained(base);
  const obstacle = wanted === 'int8' ? int8Obstacle(base) : halfObstacle(base);
  if (obstacle !== undefined) refuse(obstacle);
  return wanted === 'int8' ? asInt8(base) : asHalf(base);
}
