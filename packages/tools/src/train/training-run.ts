import { AppError, EPOCH_METRICS, type Hyperparams, type TrainBlock } from '@selvedge/contract';
import { writeModel } from '@selvedge/graph/onnx';
import { batchesPerEpoch, epochBatches, learningRateAt, type Trainer } from '@selvedge/graph/train';
import { yieldToEvents } from '../kit/index.ts';
import type { AugmentBatch } from './augment/augmentation.ts';
import { type BestEpoch, type BestValue, loadCheckpoint, saveCheckpoint } from './checkpoint-files.ts';
import { isBetterEpoch, isBetterValue } from './compare-epochs.ts';
import type { SampleSource } from './sample-source.ts';
import type { TrainingTask } from './training-task.ts';

/** A point of train/batch-loss per so many steps. */
const BATCH_LOSS_INTERVAL = 20;
/** Training samples that train/accuracy is measured on: enough to see overfitting, cheap beside an epoch. */
const TRAIN_ACCURACY_SAMPLES = 500;

export interface TrainingRunOptions {
  readonly trainer: Trainer;
  readonly task: TrainingTask;
  readonly train: SampleSource;
  readonly validation: SampleSource;
  readonly hyperparams: Hyperparams;
  readonly block: TrainBlock;
  readonly augment: AugmentBatch | undefined;
  readonly checkpointDir: string;
  /** Text that goes into the model file. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  log(text: string): void;
  progress(fraction: number, message: string): void;
  metric(name: string, step: number, value: number): void;
  /** Resolves when what was said before is recorded. */
  usage(): Promise<unknown>;
}

export interface TrainingResult {
  /** Done; fewer than were asked for after early stopping. */
  readonly epochs: number;
  readonly best: BestEpoch;
  readonly model: Uint8Array;
  /** Over all attempts. */
  readonly seconds: number;
}

interface Progress {
  epoch: number;
  best: BestEpoch | undefined;
  bestModel: Uint8Array;
  stopping: BestValue | undefined;
  seconds: number;
}

interface EpochResult {
  /** Mean of the batches. */
  readonly loss: number;
  /** Share of the time in which the trainer waited for samples. */
  readonly waitShare: number;
}

/**
 * Trains epoch by epoch and keeps the best one by `best_by` of the validation data (by loss among equals; the last one without
 * validation data). After each epoch all that matters is on disk, so that a restart repeats one epoch at most and ends in the same
 * model as without it.
 */
export class TrainingRun {
  readonly #options: TrainingRunOptions;

  constructor(options: TrainingRunOptions) {
    this.#options = options;
  }

  async run(): Promise<TrainingResult> {
    const { epochs } = this.#options.hyperparams;
    const state = await this.#resume();
    while (state.epoch < epochs && !this.#isStopped(state)) {
      const started = performance.now();
      const result = await this.#trainEpoch(state.epoch);
      state.epoch += 1;
      await this.#finishEpoch(state, result, started);
    }
    if (state.best === undefined) throw new Error('A training has at least one epoch');
    return { epochs: state.epoch, best: state.best, model: state.bestModel, seconds: state.seconds };
  }

  get #bestBy(): string {
    const { block, task } = this.#options;
    return block.best_by ?? EPOCH_METRICS[task.kind][0] ?? 'loss';
  }

  #isStopped({ epoch, stopping }: Progress): boolean {
    const { early_stopping: rule } = this.#options.block;
    if (rule === undefined || stopping === undefined || epoch - stopping.epoch < rule.patience) return false;
    const metric = rule.metric ?? this.#bestBy;
    this.#options.log(
      `stopped early: ${metric} has not become better than ${stopping.value.toFixed(4)} (epoch ${stopping.epoch}) for ${rule.patience} epochs`,
    );
    return true;
  }

  #noteForStopping(state: Progress, metrics: Readonly<Record<string, number>>): void {
    const { early_stopping: rule } = this.#options.block;
    if (rule === undefined) return;
    const metric = rule.metric ?? this.#bestBy;
    const value = metrics[`validation/${metric}`];
    if (value === undefined) return;
    if (isBetterValue(metric, value, state.stopping?.value, rule.min_delta)) state.stopping = { epoch: state.epoch, value };
  }

  async #resume(): Promise<Progress> {
    const { checkpointDir, trainer, log } = this.#options;
    const checkpoint = await loadCheckpoint(checkpointDir);
    if (checkpoint === undefined) return { epoch: 0, best: undefined, bestModel: new Uint8Array(), stopping: undefined, seconds: 0 };
    try {
      trainer.importState(checkpoint.state);
    } catch (error) {
      if (!(error instanceof AppError) || (error.code !== 'CONFLICT' && error.code !== 'INPUT_INVALID')) throw error;
      // Written by another version of the training: repeating the epochs is right, if slower.
      log(`the checkpoint cannot be used (${error.message}); beginning anew`);
      return { epoch: 0, best: undefined, bestModel: new Uint8Array(), stopping: undefined, seconds: 0 };
    }
    log(`going on after epoch ${checkpoint.epoch}`);
    const { epoch, best, bestModel, stopping, seconds } = checkpoint;
    return { epoch, best, bestModel, stopping, seconds };
  }

  async #trainEpoch(epoch: number): Promise<EpochResult> {
    const { trainer, train, hyperparams, signal, progress, metric } = this.#options;
    const { batch_size: batchSize, seed = 0, epochs } = hyperparams;
    const stepsPerEpoch = batchesPerEpoch(train.count, batchSize);
    const x = new Float32Array(batchSize * train.sampleSize);
    let sum = 0;
    let steps = 0;
    let shown = 0;
    const started = performance.now();
    let waitedMs = 0;
    for (const indices of epochBatches({ count: train.count, batchSize, seed, epoch })) {
      // A step computes on this thread: let the API answer in between.
      await yieldToEvents(signal);
      const asked = performance.now();
      const boxes = await this.#gather(indices, x);
      const y = this.#options.task.labels(indices, boxes);
      waitedMs += performance.now() - asked;
      const { loss } = await trainer.trainStep({ x, y, index: steps }, this.#learningRate(trainer.step)).catch((error: unknown) => {
        throw withSamples(error, epoch, indices);
      });
      sum += loss;
      shown += loss;
      steps += 1;
      if (trainer.step % BATCH_LOSS_INTERVAL === 0) {
        metric('train/batch-loss', trainer.step, shown / Math.min(steps, BATCH_LOSS_INTERVAL));
        shown = 0;
        progress((epoch + steps / stepsPerEpoch) / epochs, `Epoch ${epoch + 1} of ${epochs}`);
      }
    }
    return { loss: sum / steps, waitShare: waitedMs / Math.max(performance.now() - started, 1e-6) };
  }

  /** @returns the boxes of the samples, where they lie in the changed pictures. */
  async #gather(indices: Int32Array, x: Float32Array): Promise<readonly Float32Array[]> {
    const { train, augment, trainer } = this.#options;
    await train.gather(indices, x);
    const boxes = train.boxes.length === 0 ? [] : Array.from(indices, (index) => train.boxes[index] ?? new Float32Array());
    return augment === undefined ? boxes : augment(x, boxes, trainer.step);
  }

  #learningRate(step: number): number {
    const { lr, epochs, lr_schedule: schedule, batch_size: batchSize } = this.#options.hyperparams;
    const stepsPerEpoch = batchesPerEpoch(this.#options.train.count, batchSize);
    return learningRateAt(schedule, { lr, epochs, stepsPerEpoch, step });
  }

  async #finishEpoch(state: Progress, { loss, waitShare }: EpochResult, started: number): Promise<void> {
    const { hyperparams, checkpointDir, trainer, log, progress, metric, usage } = this.#options;
    const { epoch } = state;
    const metrics = await this.#measure(loss);
    for (const [name, value] of Object.entries(metrics)) metric(name, epoch, value);
    metric('learning-rate', epoch, this.#learningRate(trainer.step - 1));
    metric('train/wait-share', epoch, waitShare);
    this.#noteForStopping(state, metrics);
    if (isBetterEpoch(this.#bestBy, metrics, state.best?.metrics)) {
      state.best = { epoch, metrics };
      state.bestModel = this.#encodeModel(epoch);
    }
    const seconds = (performance.now() - started) / 1000;
    state.seconds += seconds;
    if (state.best !== undefined) {
      // A tool that is killed now must not go on after an epoch whose values were still on their way to it.
      await usage();
      await saveCheckpoint(checkpointDir, {
        epoch,
        best: state.best,
        stopping: state.stopping,
        seconds: state.seconds,
        state: trainer.exportState(),
        bestModel: state.bestModel,
      });
    }
    const left = hyperparams.epochs - epoch;
    const shown = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`);
    const eta = left === 0 ? '' : `, about ${Math.ceil((state.seconds / epoch) * left)} s left`;
    log(`epoch ${epoch}/${hyperparams.epochs}: ${shown.join(', ')} (${seconds.toFixed(1)} s${eta})`);
    progress(epoch / hyperparams.epochs, `Epoch ${epoch} of ${hyperparams.epochs} done${eta}`);
  }

  async #measure(trainLoss: number): Promise<Record<string, number>> {
    const { trainer, task, train, validation, signal } = this.#options;
    const metrics: Record<string, number> = { 'train/loss': trainLoss };
    if (task.measuresTraining) {
      const some = Math.min(train.count, TRAIN_ACCURACY_SAMPLES);
      const spread = Int32Array.from({ length: some }, (_, i) => Math.floor((i * train.count) / some));
      const { loss: _, ...scores } = await task.measure(trainer, train, spread, signal);
      for (const [name, value] of Object.entries(scores)) metrics[`train/${name}`] = value;
    }
    if (validation.count === 0) return metrics;
    const all = Int32Array.from({ length: validation.count }, (_, i) => i);
    const scores = await task.measure(trainer, validation, all, signal);
    for (const [name, value] of Object.entries(scores)) metrics[`validation/${name}`] = value;
    return metrics;
  }

  #encodeModel(epoch: number): Uint8Array {
    const model = this.#options.trainer.exportModel();
    return writeModel({ ...model, metadata: { ...model.metadata, ...this.#options.metadata, 'selvedge.epoch': String(epoch) } });
  }
}

/** Says where in the data a training diverged: the batch's places mean little to whoever looks for a bad sample. */
function withSamples(error: unknown, epoch: number, indices: Int32Array): unknown {
  if (!(error instanceof AppError) || error.code !== 'TRAINING_DIVERGED') return error;
  const { data = {}, message, hint } = error.details;
  const places = Array.isArray(data.samples) ? data.samples.map(Number) : [];
  const bad = places.map((place) => indices[place] ?? -1);
  const about =
    bad.length > 0
      ? { hint: `Training samples ${bad.join(', ')} have values that are not finite: repair or remove them.` }
      : { ...(hint === undefined ? {} : { hint }) };
  return new AppError(
    'TRAINING_DIVERGED',
    {
      message: `Epoch ${epoch + 1}: ${message} The batch has the training samples ${[...indices].join(', ')}.`,
      ...about,
      data: { ...data, epoch: epoch + 1, batchSamples: [...indices], samples: bad },
    },
    { cause: error },
  );
}
