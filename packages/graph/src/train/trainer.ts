import { AppError } from '@selvedge/contract';
import { createRandom, elementCount, float32Tensor, type Model, type TensorData, writeModel } from '../onnx/index.ts';
import { openSession, type Session, type Tensor } from '../session/index.ts';
import { foldBatchNormalization, removeDropout } from '../transform/index.ts';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';
import { type Evaluation, evaluateOutputs, type Labels, labelsTensor } from './evaluation.ts';
import { type DropoutMask, FEED, feedName, next, type Slot, slotsLength } from './feeds.ts';
import { type LossSpec, lossKind } from './losses/index.ts';
import { normalizeModel } from './normalize-model.ts';
import { type OptimizerSpec, optimizerState, stepScalars } from './optimizers.ts';
import { buildTrainingGraph, type TrainingGraph } from './training-graph.ts';

export interface TrainerOptions {
  /** One float32 input [N, ...]; the first output is trained. Its initializers are the starting weights. */
  readonly model: Model;
  readonly loss: LossSpec;
  readonly optimizer: OptimizerSpec;
  /** Samples in every step. */
  readonly batchSize: number;
  /**
   * Patterns (`*`: any characters, `?`: one) for the names of weights, or of the nodes that use them: only those are trained.
   * A normalization of which nothing is trained works as in use. Default: all weights are trained.
   */
  readonly trainable?: readonly string[];
  /** The gradient by all weights together is not longer than this; above 0. Default: no bound. */
  readonly clipNorm?: number;
  /** Seeds dropout; default 0. */
  readonly seed?: number;
  /** Threads of ONNX Runtime; default 1. */
  readonly threads?: number;
}

export interface Batch {
  /** Samples one after the other. */
  readonly x: Float32Array;
  readonly y: Labels;
  /** Number of the batch in its epoch, from 0, for the error of a loss that is not finite. */
  readonly index?: number;
}

/** One vector and the memory for its successor: a step reads one and writes the other, then they change places. */
interface Vector {
  readonly name: string;
  current: Extract<Tensor, { type: 'float32' }>;
  spare: Extract<Tensor, { type: 'float32' }>;
}

const PREDICT_BATCH = 64;

/** Trains one model, step by step; calls must not overlap. Made by `createTrainer`. */
export class Trainer {
  private readonly options: TrainerOptions;
  /** The model to be trained, normalized, with its first weights. */
  private readonly source: Model;
  private readonly plan: TrainingGraph;
  private readonly session: Session;
  private readonly vectors: readonly Vector[];
  private readonly masks: readonly { spec: DropoutMask; tensor: Extract<Tensor, { type: 'float32' }> }[];
  private stepsDone = 0;
  /** Counts changes of the weights, so that a model loaded for `predict` is known to be out of date. */
  private revision = 0;
  private served: { revision: number; session: Session } | undefined;

  constructor(options: TrainerOptions, source: Model, plan: TrainingGraph, session: Session) {
    this.options = options;
    this.source = source;
    this.plan = plan;
    this.session = session;
    this.vectors = firstVectors(options.optimizer, plan);
    this.masks = plan.masks.map((spec) => ({ spec, tensor: vectorTensor(spec.dims, elementCount(spec.dims)) }));
  }

  /** Steps done, those before `importState` included. */
  get step(): number {
    return this.stepsDone;
  }

  /**
   * Changes the weights once.
   *
   * @param batch - exactly `batchSize` samples; labels are class indices (cross-entropy, identity), targets (detection), else values of
   *   the output's size.
   * @param lr - learning rate of this step.
   * @returns the mean loss of the batch, before the change.
   * @throws AppError TRAINING_DIVERGED (data: step, batch where it was given, samples with values that are not finite) when
   *   the loss is not finite; the weights stay as they were. SHAPE_MISMATCH or INPUT_INVALID when the batch does not fit the model.
   */
  async trainStep(batch: Batch, lr: number): Promise<{ loss: number }> {
    const { dims } = this.plan.input;
    if (batch.x.length !== elementCount(dims)) {
      throw new AppError('SHAPE_MISMATCH', {
        message: `A step takes ${elementCount(dims)} values ([${dims.join(', ')}]), but was given ${batch.x.length}.`,
      });
    }
    const feeds: Record<string, Tensor> = {
      [this.plan.input.name]: { type: 'float32', dims, data: batch.x },
      [FEED.labels]: labelsTensor(lossKind(this.options.loss), batch.y, this.plan.labels),
    };
    const into: Record<string, Tensor> = {};
    for (const vector of this.vectors) {
      feeds[vector.name] = vector.current;
      into[next(vector.name)] = vector.spare;
    }
    for (const [name, value] of Object.entries(stepScalars(this.options.optimizer, lr, this.stepsDone)))
      feeds[feedName(name)] = float32Tensor([], Float32Array.of(value));
    for (const [i, { spec, tensor }] of this.masks.entries()) {
      this.drawMask(tensor.data, spec.ratio, i);
      feeds[spec.name] = tensor;
    }
    const loss = Number((await this.session.run(feeds, into)).loss?.data[0]);
    if (!Number.isFinite(loss)) throw this.diverged(loss, batch, lr);
    for (const vector of this.vectors) [vector.current, vector.spare] = [vector.spare, vector.current];
    this.stepsDone += 1;
    this.revision += 1;
    return { loss };
  }

  /**
   * What the model as it would be exported now says about any number of samples.
   *
   * @returns its first output [n, ...], one sample after the other.
   */
  async predict(x: Float32Array): Promise<Float32Array> {
    const [, ...sample] = this.plan.input.dims;
    const size = elementCount(sample);
    if (x.length % size !== 0)
      throw new AppError('SHAPE_MISMATCH', { message: `${x.length} values are no whole number of samples of ${size}.` });
    const session = await this.servedSession();
    const output = session.outputs[0]?.name ?? '';
    const results: Float32Array[] = [];
    for (let start = 0; start < x.length; start += PREDICT_BATCH * size) {
      const data = x.subarray(start, start + PREDICT_BATCH * size);
      const result = (await session.run({ [this.plan.input.name]: { type: 'float32', dims: [data.length / size, ...sample], data } }))[
        output
      ];
      if (result?.type === 'float32') results.push(result.data);
    }
    return concatenate(results);
  }

  /**
   * Measures the model as it would be exported now.
   *
   * @param data - any number of samples, at least one.
   * @returns the mean loss, without class weights and smoothing, and the share of samples whose largest output is that of
   *   their label (cross-entropy only).
   * @throws AppError INPUT_INVALID for the losses detection and identity, which `predict` and the metrics of their task measure.
   */
  async evaluate(data: Batch): Promise<Evaluation> {
    const outputs = await this.predict(data.x);
    return evaluateOutputs(
      lossKind(this.options.loss),
      outputs,
      data.y,
      data.x.length / elementCount(this.plan.input.dims.slice(1)),
      this.headOp(),
    );
  }

  /** The model with its weights as they are now: without dropout, normalization folded in where possible, open batch. */
  exportModel(): Model {
    const initializers = new Map<string, TensorData>(this.source.graph.initializers);
    const update = (slots: readonly Slot[], vector: string) => {
      const values = this.vectors.find((each) => each.name === vector)?.current.data;
      for (const { name, dims, offset, length } of slots)
        if (values) initializers.set(name, float32Tensor(dims, values.slice(offset, offset + length)));
    };
    update(this.plan.weights, FEED.weights);
    update(this.plan.statistics, FEED.statistics);
    return foldBatchNormalization(removeDropout({ ...this.source, graph: { ...this.source.graph, initializers } }));
  }

  /** Everything that the next steps depend on, as bytes. */
  exportState(): Uint8Array {
    return encodeCheckpoint(this.layout(), { step: this.stepsDone, vectors: this.vectors.map((vector) => vector.current.data) });
  }

  /**
   * Goes on where `exportState` was called, so that later steps are the same as without the break.
   *
   * @throws AppError INPUT_INVALID for damaged bytes; CONFLICT for those of another model or other options.
   */
  importState(bytes: Uint8Array): void {
    const { step, vectors } = decodeCheckpoint(
      bytes,
      this.layout(),
      this.vectors.map((vector) => vector.current.data.length),
    );
    for (const [i, vector] of this.vectors.entries()) vector.current.data.set(vectors[i] ?? []);
    this.stepsDone = step;
    this.revision += 1;
  }

  async close(): Promise<void> {
    await this.forgetServed();
    await this.session.close();
  }

  private layout(): string {
    const { optimizer, loss, batchSize, seed = 0, trainable, clipNorm } = this.options;
    const shapes = [...this.plan.weights, ...this.plan.statistics].map(({ name, dims }) => [name, dims]);
    return JSON.stringify({ optimizer, loss, batchSize, seed, trainable, clipNorm, shapes });
  }

  private diverged(loss: number, { x, index }: Batch, lr: number): AppError {
    const size = x.length / this.options.batchSize;
    const samples = new Set<number>();
    for (const [i, value] of x.entries()) if (!Number.isFinite(value)) samples.add(Math.floor(i / size));
    const where = index === undefined ? `step ${this.stepsDone}` : `step ${this.stepsDone}, batch ${index} of its epoch`;
    return new AppError('TRAINING_DIVERGED', {
      message: `The loss is ${loss} at ${where} (learning rate ${lr}).`,
      hint:
        samples.size > 0
          ? `Samples ${[...samples].join(', ')} of the batch have values that are not finite: repair or remove them.`
          : 'Lower the learning rate, or bound the gradient.',
      data: { step: this.stepsDone, ...(index === undefined ? {} : { batch: index }), samples: [...samples] },
    });
  }

  /** The operator that makes the first output: the loss may contain it (see `evaluateOutputs`). */
  private headOp(): string {
    const output = this.source.graph.outputs[0]?.name ?? '';
    return this.source.graph.nodes.find((node) => node.outputs.includes(output))?.op ?? '';
  }

  private drawMask(mask: Float32Array, ratio: number, index: number): void {
    const random = createRandom(this.options.seed ?? 0, this.stepsDone, index);
    const kept = 1 / (1 - ratio);
    for (let i = 0; i < mask.length; i++) mask[i] = random.uniform() < ratio ? 0 : kept;
  }

  private async servedSession(): Promise<Session> {
    if (this.served?.revision === this.revision) return this.served.session;
    await this.forgetServed();
    const session = await openSession(writeModel(this.exportModel()), { threads: this.options.threads ?? 1 });
    this.served = { revision: this.revision, session };
    return session;
  }

  private async forgetServed(): Promise<void> {
    const { served } = this;
    this.served = undefined;
    await served?.session.close();
  }
}

function vectorTensor(dims: readonly number[], length: number): Extract<Tensor, { type: 'float32' }> {
  return { type: 'float32', dims, data: new Float32Array(length) };
}

function firstVectors(optimizer: OptimizerSpec, plan: TrainingGraph): Vector[] {
  const make = (name: string, slots: readonly Slot[], filled: boolean): Vector => {
    const count = slotsLength(slots);
    const current = vectorTensor([count], count);
    for (const slot of filled ? slots : []) {
      const tensor = plan.initializers.get(slot.name);
      if (tensor?.type === 'float32') current.data.set(tensor.data, slot.offset);
    }
    return { name, current, spare: vectorTensor([count], count) };
  };
  return [
    make(FEED.weights, plan.weights, true),
    ...optimizerState(optimizer).map((name) => make(feedName(name), plan.weights, false)),
    ...(plan.statistics.length > 0 ? [make(FEED.statistics, plan.statistics, true)] : []),
  ];
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/**
 * Prepares the training of a model: differentiates it and loads the resulting graph.
 *
 * @throws AppError OP_UNSUPPORTED naming the node, its operator and those that can be trained; SHAPE_MISMATCH when
 *   shapes do not fit; MODEL_INVALID when there is nothing to train; INPUT_INVALID for an impossible batch size, bound or loss parameter, or when
 *   no weight matches `trainable`.
 */
export async function createTrainer(options: TrainerOptions): Promise<Trainer> {
  if (!Number.isSafeInteger(options.batchSize) || options.batchSize < 1) {
    throw new AppError('INPUT_INVALID', { message: `The batch size must be a whole number from 1, not ${options.batchSize}.` });
  }
  if (options.clipNorm !== undefined && !(options.clipNorm > 0)) {
    throw new AppError('INPUT_INVALID', { message: `The bound of the gradient must be above 0, not ${options.clipNorm}.` });
  }
  const source = normalizeModel(options.model);
  const plan = buildTrainingGraph(source, options);
  const session = await openSession(writeModel(plan.model), { threads: options.threads ?? 1 });
  return new Trainer(options, source, plan, session);
}
