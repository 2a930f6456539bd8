import { AppError, type Hyperparams, type TrainBlock, type TrainingKind, trainingIssues, trainingKind } from '@selvedge/contract';
import { buildDetector, buildEmbedding } from '@selvedge/graph/networks';
import { buildNetwork, inferShapes, type Model } from '@selvedge/graph/onnx';
import { fitClassifier } from '@selvedge/graph/train';
import { classificationTask } from './classification-task.ts';
import { detectionTask } from './detection-task.ts';
import { identityTask } from './identity-task.ts';
import type { PlannedTask, TaskData } from './training-task.ts';

const DEFAULT_EMBEDDING_SIZE = 64;

type Picture = [channels: number, height: number, width: number];

/**
 * Decides what is trained: builds the network, or takes the one that `train.from` brings, and checks that it fits the data.
 *
 * @param base - the model of `train.from`.
 * @throws AppError INPUT_INVALID (user) when the options or the dataset are for another kind of training; PREPROC_INVALID
 * when pictures are not CHW; SHAPE_MISMATCH when layers, model and tensors do not fit each other.
 */
export function planTask(data: TaskData, train: TrainBlock, hyperparams: Hyperparams, base?: Model): PlannedTask {
  const kind = base === undefined ? (trainingKind(train) ?? 'classification') : kindOf(base);
  const issues = trainingIssues(train, kind);
  if (issues.length > 0) {
    throw new AppError('INPUT_INVALID', {
      message: `The options of the training do not fit what is trained (${kind}).`,
      issues: issues.map(({ path, message }) => ({ path: ['train', ...path].join('.'), message })),
    });
  }
  checkAnnotations(data, kind);
  const { seed = 0 } = hyperparams;
  const model = base === undefined ? newModel(data, train, seed) : fitted(base, data, kind, seed);
  if (kind === 'detection') return { model, ...detectionTask(data, model) };
  return { model, ...(kind === 'identity' ? identityTask(data, seed) : classificationTask(data, train)) };
}

/** By what networks made here carry; every other model is a classifier. */
function kindOf({ graph, metadata }: Model): TrainingKind {
  if (metadata['selvedge.detector.strides'] !== undefined) return 'detection';
  return graph.outputs[0]?.name === 'embedding' ? 'identity' : 'classification';
}

function checkAnnotations({ info, train }: TaskData, kind: TrainingKind): void {
  const hasBoxes = Object.values(info.splits).some(({ boxes }) => boxes !== undefined);
  if (hasBoxes !== (kind === 'detection')) {
    throw new AppError('INPUT_INVALID', {
      message: hasBoxes
        ? `The dataset has boxes (object-detection), and what is trained is for ${kind}.`
        : 'A detector learns from boxes, and the samples of the dataset have a class each.',
      hint: hasBoxes ? 'Set train.network to "tiny-detector".' : 'Use a dataset for object detection (COCO, YOLO, Pascal VOC).',
    });
  }
  if (hasBoxes && train.boxes.every(({ length }) => length === 0))
    throw new AppError('DATASET_FORMAT', { message: 'No training sample has a box: there is nothing to learn.' });
}

function newModel(
  { info, features }: TaskData,
  { network, width, embedding_size: size = DEFAULT_EMBEDDING_SIZE }: TrainBlock,
  seed: number,
): Model {
  const classes = info.labels.length;
  const sized = width === undefined ? {} : { width };
  if (info.layout === 'vector') {
    if (network !== undefined && network !== 'mlp' && typeof network === 'string') {
      throw new AppError('INPUT_INVALID', {
        message: `The network "${network}" reads pictures, and the samples are rows of a table.`,
        hint: 'Set train.network to "mlp" or to a list of dense layers.',
      });
    }
    const standardise = features === undefined ? {} : { standardise: features };
    return buildNetwork({ layers: network ?? 'mlp', inputShape: [info.sampleShape[0] ?? 0], classes, seed, ...standardise });
  }
  const inputShape = pictureShape(info);
  if (network === 'tiny-detector') return buildDetector({ inputShape, classes, seed, ...sized });
  if (network === 'embedding') return buildEmbedding({ inputShape, size, seed, ...sized });
  return buildNetwork({ layers: network ?? 'small-cnn', inputShape, classes, seed, ...sized });
}

function pictureShape({ layout, sampleShape }: TaskData['info']): Picture {
  const [channels = 0, height = 0, width = 0] = sampleShape;
  if (layout !== 'CHW') {
    throw new AppError('PREPROC_INVALID', {
      message: 'The network reads channels first (CHW), and the tensors are HWC.',
      hint: 'Add "hwctochw" to preproc.pipeline.',
    });
  }
  return [channels, height, width];
}

/** The model of `train.from` for this data; a classifier gets a new last layer where the number of classes differs. */
function fitted(base: Model, { info }: TaskData, kind: TrainingKind, seed: number): Model {
  const [, ...wanted] = inferShapes(base).get(base.graph.inputs[0]?.name ?? '')?.shape ?? [];
  const fits = wanted.length === info.sampleShape.length && wanted.every((edge, i) => edge === null || edge === info.sampleShape[i]);
  if (!fits) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `The model of train.from reads [${wanted.map((edge) => edge ?? '?').join(', ')}]; the tensors are [${info.sampleShape.join(', ')}].`,
      hint: 'Set the size in preproc to what the model reads.',
    });
  }
  return kind === 'classification' ? fitClassifier(base, { classes: info.labels.length, seed }) : base;
}
