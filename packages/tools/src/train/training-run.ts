import { AppError, type Hyperparams } from '@selvedge/contract';
import { writeModel } from '@selvedge/graph/onnx';
import { batchesPerEpoch, epochBatches, type Loss, learningRateAt, type Trainer } from '@selvedge/graph/train';
import { yieldToEvents } from '../kit/index.ts';
import { type BestEpoch, loadCheckpoint, saveCheckpoint } from './checkpoint-files.ts';
import { evaluateSamples, targetsFor } from './evaluate.ts';
import type { SampleSource } from './sample-source.ts';
import { shiftBatch } from './shift-augmentation.ts';

/** A point of train/batch-loss per so many steps. */
const BATCH_LOSS_INTERVAL = 20;
/** Training samples that train/accuracy is measured on: enough to see overfitting, cheap beside an epoch. */
const TRAIN_ACCURACY_SAMPLES = 500;

export interface TrainingRunOptions {
  readonly trainer: Trainer;
  readonly train: SampleSource;
  readonly validation: SampleSource;
  readonly hyperparams: Hyperparams;
  readonly loss: Loss;
  readonly classes: number;
  readonly sampleShape: readonly number[];
  readonly shift: number;
  readonly checkpointDir: string;
  /** Text that goes into the model file. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  log(text: string): void;
  progress(fraction: number, message: string): void;
  metric(name: string, step: number, value: number): void;
}

export interface TrainingResult {
  readonly best: BestEpoch;
  readonly model: Uint8Array;
  /** Over all attempts. */
  readonly seconds: number;
}

interface Progress {
  epoch: number;
  best: BestEpoch | undefined;
  bestModel: Uint8Array;
  seconds: number;
}

/**
 * Trains epoch by epoch and keeps the best one by validation accuracy (by loss among equals; the last without validation
 * data). After each epoch all that matters is on disk, so that a restart repeats one epoch at most and ends in the same
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
    while (state.epoch < epochs) {
      const started = performance.now();
      const loss = await this.#trainEpoch(state.epoch);
      state.epoch += 1;
      await this.#finishEpoch(state, loss, started);
    }
    if (state.best === undefined) throw new Error('A training has at least one epoch');
    return { best: state.best, model: state.bestModel, seconds: state.seconds };
  }

  async #resume(): Promise<Progress> {
    const { checkpointDir, trainer, log } = this.#options;
    const checkpoint = await loadCheckpoint(checkpointDir);
    if (checkpoint === undefined) return { epoch: 0, best: undefined, bestModel: new Uint8Array(), seconds: 0 };
    try {
      trainer.importState(checkpoint.state);
    } catch (error) {
      if (!(error instanceof AppError) || (error.code !== 'CONFLICT' && error.code !== 'INPUT_INVALID')) throw error;
      // Written by another version of the training: repeating the epochs is right, if slower.
      log(`the checkpoint cannot be used (${error.message}); beginning anew`);
      return { epoch: 0, best: undefined, bestModel: new Uint8Array(), seconds: 0 };
    }
    log(`going on after epoch ${checkpoint.epoch}`);
    return { epoch: checkpoint.epoch, best: checkpoint.best, bestModel: checkpoint.bestModel, seconds: checkpoint.seconds };
  }

  /** @returns mean loss of the epoch's batches. */
  async #trainEpoch(epoch: number): Promise<number> {
    const { trainer, train, hyperparams, signal, progress, metric } = this.#options;
    const { batch_size: batchSize, seed = 0, epochs } = hyperparams;
    const stepsPerEpoch = batchesPerEpoch(train.count, batchSize);
    const x = new Float32Array(batchSize * train.sampleSize);
    let sum = 0;
    let steps = 0;
    let shown = 0;
    for (const batch of epochBatches({ count: train.count, batchSize, seed, epoch })) {
      // A step computes on this thread: let the API answer in between.
      await yieldToEvents(signal);
      const lr = this.#learningRate(trainer.step);
      const loss = await this.#step(batch, x, lr);
      sum += loss;
      shown += loss;
      steps += 1;
      if (trainer.step % BATCH_LOSS_INTERVAL === 0) {
        metric('train/batch-loss', trainer.step, shown / Math.min(steps, BATCH_LOSS_INTERVAL));
        shown = 0;
        progress((epoch + steps / stepsPerEpoch) / epochs, `Epoch ${epoch + 1} of ${epochs}`);
      }
    }
    return sum / steps;
  }

  async #step(batch: Int32Array, x: Float32Array, lr: number): Promise<number> {
    const { trainer, train, loss, classes, sampleShape, shift, hyperparams } = this.#options;
    await train.gather(batch, x);
    shiftBatch(x, { sampleShape, shift, seed: hyperparams.seed ?? 0, step: trainer.step });
    const labels = batch.map((index) => train.labels[index] ?? 0);
    return (await trainer.trainStep({ x, y: targetsFor(loss, labels, classes) }, lr)).loss;
  }

  #learningRate(step: number): number {
    const { lr, epochs, lr_schedule: schedule, batch_size: batchSize } = this.#options.hyperparams;
    const stepsPerEpoch = batchesPerEpoch(this.#options.train.count, batchSize);
    return learningRateAt(schedule, { lr, epochs, stepsPerEpoch, step });
  }

  async #finishEpoch(state: Progress, trainLoss: number, started: number): Promise<void> {
    const { hyperparams, checkpointDir, trainer, log, progress, metric } = this.#options;
    const { epoch } = state;
    const metrics = await this.#measure(trainLoss);
    for (const [name, value] of Object.entries(metrics)) metric(name, epoch, value);
    metric('learning-rate', epoch, this.#learningRate(trainer.step - 1));
    if (isBetter(metrics, state.best?.metrics)) {
      state.best = { epoch, metrics };
      state.bestModel = this.#encodeModel(epoch);
    }
    const seconds = (performance.now() - started) / 1000;
    state.seconds += seconds;
    if (state.best !== undefined) {
      await saveCheckpoint(checkpointDir, {
        epoch,
        best: state.best,
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
    const { trainer, train, validation, loss, classes, signal } = this.#options;
    const options = { loss, classes, signal };
    const some = Math.min(train.count, TRAIN_ACCURACY_SAMPLES);
    const spread = Int32Array.from({ length: some }, (_, i) => Math.floor((i * train.count) / some));
    const metrics: Record<string, number> = {
      'train/loss': trainLoss,
      'train/accuracy': (await evaluateSamples(trainer, train, spread, options)).accuracy,
    };
    if (validation.count === 0) return metrics;
    const all = Int32Array.from({ length: validation.count }, (_, i) => i);
    const scores = await evaluateSamples(trainer, validation, all, options);
    return { ...metrics, 'validation/loss': scores.loss, 'validation/accuracy': scores.accuracy };
  }

  #encodeModel(epoch: number): Uint8Array {
    const model = this.#options.trainer.exportModel();
    return writeModel({ ...model, metadata: { ...model.metadata, ...this.#options.metadata, 'selvedge.epoch': String(epoch) } });
  }
}

function isBetter(metrics: Readonly<Record<string, number>>, best: Readonly<Record<string, number>> | undefined): boolean {
  const [accuracy, bestAccuracy] = [metrics['validation/accuracy'], best?.['validation/accuracy']];
  if (accuracy === undefined || bestAccuracy === undefined) return true;
  if (accuracy !== bestAccuracy) return accuracy > bestAccuracy;
  return (metrics['validation/loss'] ?? 0) < (best?.['validation/loss'] ?? 0);
}
