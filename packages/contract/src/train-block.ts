import * as z from 'zod';
import { modelReferenceSchema } from './pipeline-steps.ts';
import { engineIssues, pythonTrainingShape, scriptIssues } from './train-python.ts';
import { trainResourcesSchema } from './train-resources.ts';

const kernel = z.int().min(1).max(31);

/** One layer of a network written by hand. `dense` without `units` gets one unit per class. */
export const layerSchema = z.union([
  z.enum(['relu', 'relu6', 'leakyrelu', 'sigmoid', 'batchnorm', 'flatten', 'globalaveragepool', 'classifier']),
  z.strictObject({
    conv: z.strictObject({
      filters: z.int().min(1).max(4096),
      kernel,
      stride: z.int().min(1).max(16).optional(),
      /** Pixels on each side; default keeps the size at stride 1 (odd kernels). */
      pad: z.int().min(0).max(16).optional(),
      groups: z.int().min(1).max(4096).optional(),
    }),
  }),
  /** A convolution of each channel by itself. */
  z.strictObject({
    depthwise: z.strictObject({
      kernel,
      stride: z.int().min(1).max(16).optional(),
      pad: z.int().min(0).max(16).optional(),
    }),
  }),
  z.strictObject({ maxpool: kernel }),
  z.strictObject({ averagepool: kernel }),
  z.strictObject({ dropout: z.number().min(0).lt(1) }),
  z.strictObject({ dense: z.int().min(1).max(65_536) }),
]);
export type Layer = z.infer<typeof layerSchema>;

/** Networks that a pipeline names instead of listing layers. */
export const NETWORKS = ['small-cnn', 'mlp', 'mobilenet-tiny', 'tiny-detector', 'embedding'] as const;

/** What a network learns: one class per sample, boxes in pictures, or vectors that tell identities apart. */
export type TrainingKind = 'classification' | 'detection' | 'identity';

/** What a finished epoch is judged by, measured on the validation split; the first of each kind is the default. */
export const EPOCH_METRICS: Readonly<Record<TrainingKind, readonly EpochMetric[]>> = {
  classification: ['accuracy', 'loss'],
  detection: ['map50', 'map'],
  identity: ['rank1', 'map'],
};
const epochMetricSchema = z.enum(['accuracy', 'loss', 'map50', 'map', 'rank1']);
export type EpochMetric = z.infer<typeof epochMetricSchema>;

const share = z.number().min(0).max(1);

/** Random changes of training pictures, drawn anew for every sample and step; the same seed draws the same. */
export const augmentSchema = z.strictObject({
  /** Moves by up to so many pixels of the tensor in each direction; default 0. */
  shift: z.int().min(0).max(64).optional(),
  /** Mirrors half of the pictures left to right (`horizontal`) or top to bottom (`vertical`). */
  flip: z.enum(['horizontal', 'vertical', 'both']).optional(),
  /** Cuts away up to this share of both edges and enlarges the rest; default 0. */
  crop: z.number().min(0).max(0.9).optional(),
  /** Turns by up to so many degrees in both directions; default 0. Not for detection: a turned box is no box. */
  rotate: z.number().min(0).max(180).optional(),
  /** Adds up to this share of the range from black to white; default 0. */
  brightness: share.optional(),
  /** Multiplies the distance from mid grey by 1 - contrast to 1 + contrast; default 0. */
  contrast: share.optional(),
  /** Multiplies the distance from grey by 1 - saturation to 1 + saturation; default 0. Needs three channels. */
  saturation: share.optional(),
  /** Standard deviation of normal noise, as a share of the range from black to white; default 0. */
  noise: share.optional(),
  /** Fills a square of up to this share of both edges with mid grey, in half of the pictures; default 0. */
  cutout: z.number().min(0).max(0.9).optional(),
});
export type Augment = z.infer<typeof augmentSchema>;

const trainBlockShape = z.strictObject({
  /** `onnx` (default): the networks below, nothing to install. `python`: a script of yours. */
  engine: z.enum(['onnx', 'python']).optional(),
  ...pythonTrainingShape,
  /** The name of a network (default `small-cnn`; for rows of a table `mlp`) or a list of layers; `classifier` is a dense layer with one unit per class. */
  network: z.union([z.enum(NETWORKS), z.array(layerSchema).min(1).max(500)]).optional(),
  /** Factor on the channels of `mobilenet-tiny`, `tiny-detector` and `embedding`; default 1. */
  width: z.number().min(0.25).max(4).optional(),
  /** Length of the vector that `embedding` gives; default 64. */
  embedding_size: z.int().min(2).max(2048).optional(),
  /** Fine-tuning, in place of `network`: the URL of an .onnx file, or a version of the registry as `NAME:V`. */
  from: z
    .string()
    .max(2048)
    .refine(
      (text) => modelReferenceSchema.safeParse(text).success || /^https?:\/\/\S+$/.test(text),
      'must be a version like "digits:3" or the http(s) URL of an .onnx file',
    )
    .optional(),
  /** Only weights whose name, or whose node's name, matches one of these patterns are trained (`*`: any characters, `?`: one); default all. */
  trainable: z.array(z.string().min(1).max(256)).min(1).max(100).optional(),
  /** For classification; default cross-entropy. The other networks have a loss of their own. */
  loss: z.enum(['cross-entropy', 'mse', 'bce-with-logits']).optional(),
  /** Factors on the loss of each class: `balanced` makes them inverse to how often a class is seen. Labels that are not named have 1. */
  class_weights: z.union([z.literal('balanced'), z.record(z.string(), z.number().positive().max(1e6))]).optional(),
  /** Share of the target that is spread evenly over all classes; default 0. */
  label_smoothing: z.number().min(0).lt(1).optional(),
  /** The gradient of all weights together is not longer than this; default 10 for detection, else no bound. */
  clip_norm: z.number().positive().max(1e6).optional(),
  /** Ends the training when `metric` has not become better by more than `min_delta` (default 0) for `patience` epochs. */
  early_stopping: z
    .strictObject({ metric: epochMetricSchema.optional(), patience: z.int().min(1).max(100_000), min_delta: z.number().min(0).optional() })
    .optional(),
  /** The epoch whose weights are kept: the best by this metric of the validation split. Default accuracy, map50 or rank1. */
  best_by: epochMetricSchema.optional(),
  augment: augmentSchema.optional(),
  resources: trainResourcesSchema.optional(),
});

/** What a network learns; undefined for fine-tuning, where the model says, and for a script that does not say. */
export function trainingKind({
  engine,
  learns,
  network,
  from,
}: Pick<z.infer<typeof trainBlockShape>, 'engine' | 'learns' | 'network' | 'from'>): TrainingKind | undefined {
  if (engine === 'python') return learns;
  if (from !== undefined) return undefined;
  if (network === 'tiny-detector') return 'detection';
  return network === 'embedding' ? 'identity' : 'classification';
}

/** What does not fit a kind of training: place in the block and what would be right. */
export function trainingIssues(train: z.infer<typeof trainBlockShape>, kind: TrainingKind): { path: string[]; message: string }[] {
  const issues: { path: string[]; message: string }[] = [];
  if (kind !== 'classification') {
    for (const name of ['loss', 'class_weights', 'label_smoothing'] as const)
      if (train[name] !== undefined) issues.push({ path: [name], message: `is for classification; ${kind} has a loss of its own` });
  } else if (train.loss !== undefined && train.loss !== 'cross-entropy') {
    for (const name of ['class_weights', 'label_smoothing'] as const)
      if (train[name] !== undefined) issues.push({ path: [name], message: `goes with the loss "cross-entropy", not with "${train.loss}"` });
  }
  if (kind === 'detection' && (train.augment?.rotate ?? 0) > 0)
    issues.push({ path: ['augment', 'rotate'], message: 'is not for detection: a turned box is no box; use flip, shift and crop' });
  const metrics = EPOCH_METRICS[kind];
  const named = [
    [['best_by'], train.best_by],
    [['early_stopping', 'metric'], train.early_stopping?.metric],
  ] as const;
  for (const [path, metric] of named)
    if (metric !== undefined && !metrics.includes(metric))
      issues.push({
        path: [...path],
        message: `"${metric}" is not measured for ${kind}; use ${metrics.map((one) => `"${one}"`).join(' or ')}`,
      });
  return issues;
}

/** The `train` block of a pipeline. */
export const trainBlockSchema = trainBlockShape.superRefine((train, ctx) => {
  const refuse = (path: string[], message: string) => ctx.addIssue({ code: 'custom', path, message });
  const ofEngine = [...engineIssues(train), ...scriptIssues(train.script, train.files)];
  for (const { path, message } of ofEngine) refuse(path, message);
  if (train.engine === 'python') return;
  const { network, from } = train;
  if (from !== undefined) {
    for (const name of ['network', 'width', 'embedding_size'] as const)
      if (train[name] !== undefined) refuse([name], 'does not go with "from", which brings a network of its own; remove one of the two');
  } else {
    if (train.width !== undefined && !['mobilenet-tiny', 'tiny-detector', 'embedding'].includes(String(network)))
      refuse(['width'], 'goes with the networks "mobilenet-tiny", "tiny-detector" and "embedding"');
    if (train.embedding_size !== undefined && network !== 'embedding') refuse(['embedding_size'], 'goes with the network "embedding"');
  }
  const kind = trainingKind(train);
  if (kind !== undefined) for (const { path, message } of trainingIssues(train, kind)) refuse(path, message);
});
export type TrainBlock = z.infer<typeof trainBlockSchema>;
