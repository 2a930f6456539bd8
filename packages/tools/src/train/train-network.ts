import { AppError, type Hyperparams, type TensorSet, type TensorSpec, type TrainBlock } from '@selvedge/contract';
import { inspectModel, readModel } from '@selvedge/graph/onnx';
import { createTrainer, optimizerFrom } from '@selvedge/graph/train';
import type { ToolContext } from '../kit/index.ts';
import { planAugmentation } from './augment/augmentation.ts';
import { featureStatistics } from './feature-statistics.ts';
import { planTask } from './plan-task.ts';
import type { TrainingResources } from './resources.ts';
import { openSampleSource, type SampleSource } from './sample-source.ts';
import { type TrainingResult, TrainingRun } from './training-run.ts';

/** The first steps of a detector have gradients that throw it off its way. */
const DETECTION_CLIP_NORM = 10;

export interface TrainNetworkOptions extends Pick<ToolContext, 'checkpointDir' | 'signal' | 'log' | 'progress' | 'metric' | 'usage'> {
  /** Of the training set. */
  readonly folder: string;
  readonly info: TensorSet;
  readonly hyperparams: Hyperparams;
  readonly train: TrainBlock;
  readonly resources: TrainingResources;
  /** The ONNX file of `train.from`. */
  readonly base: Uint8Array | undefined;
  /** Text that goes into the model file. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TrainedNetwork extends TrainingResult {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/**
 * Builds the network, or takes the one that is given, and trains it.
 *
 * @throws AppError as `planTask`, `planAugmentation` and `createTrainer`; DATASET_FORMAT; TRAINING_DIVERGED (operational).
 */
export async function trainNetwork(options: TrainNetworkOptions): Promise<TrainedNetwork> {
  const { folder, info, log, resources } = options;
  const sources: SampleSource[] = [];
  const open = async (split: string) => {
    const source = await openSampleSource(folder, info, split, resources.maxDataBytes);
    sources.push(source);
    return source;
  };
  try {
    const [train, validation] = [await open('train'), await open('validation')];
    if (train.count === 0) throw new AppError('DATASET_FORMAT', { message: 'There are no training samples.' });
    log(`${train.count} samples for training, ${validation.count} for validation, ${resources.threads} thread(s)`);
    const result = await runTraining(options, train, validation);
    const { inputs, outputs } = inspectModel(readModel(result.model));
    return { ...result, inputs, outputs };
  } finally {
    for (const source of sources) await source.close();
  }
}

async function runTraining(options: TrainNetworkOptions, train: SampleSource, validation: SampleSource): Promise<TrainingResult> {
  const { info, hyperparams, log, resources, base, train: block } = options;
  const { seed = 0, batch_size: batchSize } = hyperparams;
  if (block.early_stopping !== undefined && validation.count === 0) {
    throw new AppError('INPUT_INVALID', {
      message: 'train.early_stopping needs validation samples, and split.validation keeps none.',
      hint: 'Raise split.validation, or remove train.early_stopping.',
    });
  }
  const features = info.layout === 'vector' && base === undefined ? { features: await featureStatistics(train, options.signal) } : {};
  const { model, ...task } = planTask(
    { info, train, validation, ...features },
    block,
    hyperparams,
    base === undefined ? undefined : readModel(base),
  );
  const augment = planAugmentation(info, block.augment, seed);
  const from = block.from ?? (typeof block.network === 'object' ? 'of the pipeline' : model.graph.name);
  log(`network ${from}: ${inspectModel(model).parameterCount} parameters, learns ${task.kind}`);
  const clipNorm = block.clip_norm ?? (task.kind === 'detection' ? DETECTION_CLIP_NORM : undefined);
  const trainer = await createTrainer({
    model,
    loss: task.loss,
    optimizer: optimizerFrom(hyperparams),
    batchSize,
    seed,
    threads: resources.threads,
    ...(clipNorm === undefined ? {} : { clipNorm }),
    ...(block.trainable === undefined ? {} : { trainable: block.trainable }),
  });
  try {
    return await new TrainingRun({ ...options, block, trainer, task, train, validation, augment }).run();
  } finally {
    await trainer.close();
  }
}
