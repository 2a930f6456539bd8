import { AppError, type Hyperparams, type TensorSet, type TensorSpec, type TrainBlock } from '@selvedge/contract';
import { buildNetwork, inspectModel, readModel } from '@selvedge/graph/onnx';
import { createTrainer, optimizerFrom } from '@selvedge/graph/train';
import type { ToolContext } from '../kit/index.ts';
import type { TrainingResources } from './resources.ts';
import { openSampleSource, type SampleSource } from './sample-source.ts';
import { type TrainingResult, TrainingRun } from './training-run.ts';

export interface TrainNetworkOptions extends Pick<ToolContext, 'checkpointDir' | 'signal' | 'log' | 'progress' | 'metric'> {
  /** Of the training set. */
  readonly folder: string;
  readonly info: TensorSet;
  readonly hyperparams: Hyperparams;
  readonly train: TrainBlock;
  readonly resources: TrainingResources;
  /** Text that goes into the model file. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TrainedNetwork extends TrainingResult {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/**
 * Builds the network and trains it.
 *
 * @throws AppError PREPROC_INVALID (user) when the tensors are not CHW; DATASET_FORMAT; SHAPE_MISMATCH when a layer does not
 * fit; TRAINING_DIVERGED (operational).
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
  const { info, hyperparams, log, resources } = options;
  const { network = 'small-cnn', loss = 'cross-entropy', augment } = options.train;
  const { seed = 0, batch_size: batchSize } = hyperparams;
  const inputShape = chwShape(info);
  const classes = info.labels.length;
  const model = buildNetwork({ layers: network, inputShape, classes, seed });
  log(
    `network ${typeof network === 'string' ? network : 'of the pipeline'}: ${inspectModel(model).parameterCount} parameters, loss ${loss}`,
  );
  const optimizer = optimizerFrom(hyperparams);
  const trainer = await createTrainer({ model, loss, optimizer, batchSize, seed, threads: resources.threads });
  try {
    const shift = augment?.shift ?? 0;
    return await new TrainingRun({ ...options, trainer, train, validation, loss, classes, sampleShape: inputShape, shift }).run();
  } finally {
    await trainer.close();
  }
}

function chwShape({ layout, sampleShape }: TensorSet): [number, number, number] {
  const [channels = 0, height = 0, width = 0] = sampleShape;
  if (layout !== 'CHW') {
    throw new AppError('PREPROC_INVALID', {
      message: 'The network reads channels first (CHW), and the tensors are HWC.',
      hint: 'Add "hwctochw" to preproc.pipeline.',
    });
  }
  return [channels, height, width];
}
