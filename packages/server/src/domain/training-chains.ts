import { type DatasetType, type Issue, type PipelineSpec, type PostprocOp, type TrainingKind, trainingKind } from '@selvedge/contract';

/** Post-processing that has nothing to work on, by what is trained. */
const USELESS: Readonly<Record<TrainingKind, { ops: readonly PostprocOp[]; why: string }>> = {
  classification: {
    ops: ['nms'],
    why: 'needs a model that gives boxes, and what is trained here is a classifier; use ["softmax", "topk"]',
  },
  detection: { ops: ['softmax', 'sigmoid'], why: 'is part of the detector already: its scores are probabilities; use ["nms"]' },
  identity: {
    ops: ['softmax', 'sigmoid', 'topk', 'nms'],
    why: 'works on scores of classes, and an embedding gives a vector; leave the list empty',
  },
};

/** What of the pre- and post-processing, and of the dataset, does not fit what a pipeline without `steps` trains. */
export function trainingChainIssues({ preproc, postproc, train = {} }: PipelineSpec, dataset: DatasetType | undefined): Issue[] {
  const issues: Issue[] = [];
  const kind = trainingKind(train);
  if (kind !== undefined) {
    const { ops, why } = USELESS[kind];
    for (const [at, op] of postproc.pipeline.entries())
      if (ops.includes(op)) issues.push({ path: `spec.postproc.pipeline[${at}]`, message: `"${op}" ${why}` });
    if (kind === 'detection' && !postproc.pipeline.includes('nms'))
      issues.push({ path: 'spec.postproc.pipeline', message: 'a detector gives a box per cell, most of them the same ones: add "nms"' });
    if (train.engine !== 'python') issues.push(...datasetIssues(kind, train.network, dataset));
  }
  const [op] = preproc.pipeline;
  if (dataset === 'tabular') {
    if (op !== undefined)
      issues.push({
        path: 'spec.preproc.pipeline[0]',
        message: `"${op}" works on pictures, and the dataset is a table; leave the list empty`,
      });
  } else if (train.engine !== 'python' && !preproc.pipeline.includes('hwctochw') && !(dataset === undefined && op === undefined)) {
    issues.push({ path: 'spec.preproc.pipeline', message: 'the network reads channels first: add "hwctochw"' });
  }
  return issues;
}

function datasetIssues(kind: TrainingKind, network: unknown, dataset: DatasetType | undefined): Issue[] {
  if (dataset === undefined) return [];
  const fault = (message: string): Issue[] => [{ path: 'spec.train.network', message }];
  if (kind === 'detection' && dataset !== 'object-detection')
    return fault(`"tiny-detector" learns from boxes, and the dataset is for ${dataset}; use a dataset with boxes (COCO, YOLO, Pascal VOC)`);
  if (kind !== 'detection' && dataset === 'object-detection') return fault('the dataset has boxes: use "tiny-detector"');
  if (dataset === 'tabular' && typeof network === 'string' && network !== 'mlp')
    return fault(`"${network}" reads pictures, and the dataset is a table; use "mlp"`);
  return [];
}
