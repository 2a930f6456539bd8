import { type PipelineSpec, pipelineSpecSchema } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { modelReferences, stepRequest } from './run-requests.ts';
import { stepGraphOf } from './step-graph.ts';
import { trainingChainIssues } from './training-chains.ts';

const spec = (change: Record<string, unknown>): PipelineSpec =>
  pipelineSpecSchema.parse({
    dataset: { name: 'data', path: { train: 'train', test: 'test' } },
    model: { name: 'net', hyperparams: { lr: 0.1, batch_size: 4, epochs: 1 } },
    preproc: { pipeline: ['hwctochw'] },
    postproc: { pipeline: [] },
    ...change,
  });
const nms = { pipeline: ['nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.3 } } };
const paths = (change: Record<string, unknown>, dataset?: 'image-classification' | 'object-detection' | 'tabular') =>
  trainingChainIssues(spec(change), dataset).map(({ path }) => path);

describe('what does not fit the training', () => {
  it('is boxes of a classifier, a detector without nms, scores of an embedding', () => {
    expect(paths({ postproc: nms })).toEqual(['spec.postproc.pipeline[0]']);
    expect(paths({ train: { network: 'tiny-detector' }, postproc: nms }, 'object-detection')).toEqual([]);
    expect(paths({ train: { network: 'tiny-detector' }, postproc: { pipeline: ['softmax'] } })).toEqual([
      'spec.postproc.pipeline[0]',
      'spec.postproc.pipeline',
    ]);
    expect(paths({ train: { network: 'embedding' }, postproc: { pipeline: ['softmax'] } })).toEqual(['spec.postproc.pipeline[0]']);
    expect(paths({ train: { network: 'embedding' } }, 'image-classification')).toEqual([]);
  });

  it('is a network for other data', () => {
    expect(paths({ train: { network: 'tiny-detector' }, postproc: nms }, 'image-classification')).toEqual(['spec.train.network']);
    expect(paths({}, 'object-detection')).toEqual(['spec.train.network']);
    expect(paths({ train: { network: 'small-cnn' }, preproc: { pipeline: [] } }, 'tabular')).toEqual(['spec.train.network']);
    expect(paths({ preproc: { pipeline: [] } }, 'tabular')).toEqual([]);
    expect(paths({}, 'tabular')).toEqual(['spec.preproc.pipeline[0]']);
    expect(paths({ preproc: { pipeline: ['grayscale'] } })).toEqual(['spec.preproc.pipeline']);
  });

  it('is not known of a model that is fine-tuned', () => {
    expect(paths({ train: { from: 'apples:2' }, postproc: nms }, 'object-detection')).toEqual([]);
  });
});

describe('a pipeline that fine-tunes', () => {
  const trainStep = (change: Record<string, unknown>) => {
    const step = stepGraphOf(spec(change)).find(({ id }) => id === 'train');
    return step ?? expect.unreachable();
  };
  const artifactIn = (tool: string) => ({ tool, artifact: 'a' });

  it('hands the file of a version to the train tool by its digest', () => {
    const change = { train: { from: 'apples:2' } };
    expect(modelReferences(spec(change))).toEqual(['apples:2']);
    const sha256 = 'a'.repeat(64);
    const known = { origin: 'http://127.0.0.1:1', models: { 'apples:2': sha256 } };
    expect(stepRequest('r.train', trainStep(change), {}, artifactIn, known).inputs?.model).toEqual({
      url: `http://127.0.0.1:1/api/v1/blobs/${sha256}?name=model.onnx`,
      sha256,
    });
    expect(() => stepRequest('r.train', trainStep(change), {}, artifactIn, { origin: '' })).toThrow(/apples:2/);
  });

  it('hands on the address of a file, and nothing where a network is new', () => {
    const url = 'https://models.example/net.onnx';
    expect(stepRequest('r.train', trainStep({ train: { from: url } }), {}, artifactIn, { origin: '' }).inputs?.model).toEqual({ url });
    expect(Object.keys(trainStep({}).inputs)).toEqual(['training-set']);
  });
});
