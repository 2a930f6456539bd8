import { join } from 'node:path';
import type { Hyperparams, PreprocSpec, TensorSet, TrainBlock, TrainingKind } from '@selvedge/contract';
import { hasBoxes } from '../../tensor-set/tensor-set-reader.ts';

/** The splits that a script gets; what measures the model stays unseen. */
const SPLITS = ['train', 'validation'] as const;

export interface TrainingFacts {
  readonly info: TensorSet;
  /** Folder of the training set. */
  readonly folder: string;
  readonly hyperparams: Hyperparams;
  readonly train: TrainBlock;
  readonly preproc: PreprocSpec | undefined;
  readonly threads: number;
  readonly checkpointDir: string;
  readonly modelPath: string;
  /** File of the model that `train.from` names. */
  readonly basePath: string | undefined;
  readonly attempt: number;
}

/** What the model is for: as the pipeline says, else as the data are. */
export function kindOf({ learns }: TrainBlock, info: TensorSet): TrainingKind {
  return learns ?? (hasBoxes(info) ? 'detection' : 'classification');
}

/** The output that the pipeline can use, in words. */
export function wantedOutput(kind: TrainingKind, classes: number): string {
  if (kind === 'classification') return `float32 [N, ${classes}]: a score per class, without softmax where postproc has it`;
  if (kind === 'detection')
    return `float32 [N, boxes, ${4 + classes}]: centre x, centre y, width and height in pixels of the input, and a score 0..1 per class`;
  return 'float32 [N, D]: a vector per sample';
}

/** The file that tells a script what it trains; docs/guides/python-training.md says what each field is. */
export function describeTraining(facts: TrainingFacts): Record<string, unknown> {
  const { info, folder, hyperparams, train, preproc, threads, checkpointDir, modelPath, basePath, attempt } = facts;
  const learns = kindOf(train, info);
  const splits = SPLITS.flatMap((name) => {
    const split = info.splits[name];
    if (split === undefined) return [];
    const { count, ...files } = split;
    const paths = Object.entries(files).flatMap(([kind, file]) => (file === undefined ? [] : [[kind, join(folder, file)]]));
    return [[name, { count, ...Object.fromEntries(paths) }]];
  });
  return {
    formatVersion: 1,
    learns,
    hyperparams,
    args: train.args ?? {},
    labels: info.labels,
    layout: info.layout,
    sampleShape: info.sampleShape,
    range: info.range ?? null,
    preproc: preproc ?? null,
    splits: Object.fromEntries(splits),
    model: { path: modelPath, inputShape: [null, ...info.sampleShape], output: wantedOutput(learns, info.labels.length) },
    base: basePath ?? null,
    checkpointDir,
    threads,
    attempt,
  };
}
