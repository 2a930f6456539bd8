import { describe, expect, it } from 'vitest';
import { pipelineSpecSchema } from './pipeline-spec.ts';
import { issuesOf } from './problem.ts';

const SPEC = {
  dataset: { name: '...', path: { train: '...', test: '...' } },
  model: { name: '...', hyperparams: { lr: 1e-3, batch_size: 32, epochs: 20 } },
  preproc: { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [244, 244], scale: [-1, 1] } },
  postproc: { pipeline: ['nms'], params: { nms: { IoU_thr: 0.8, conf_thr: 0.6 } } },
};

function faults(change: Record<string, unknown>): string[] {
  const parsed = pipelineSpecSchema.safeParse({ ...SPEC, ...change });
  return parsed.success ? [] : issuesOf(parsed.error).map((issue) => `${issue.path}: ${issue.message}`);
}

describe('pipeline file', () => {
  it('accepts the four blocks as the format defines them', () => {
    expect(pipelineSpecSchema.parse(SPEC)).toEqual(SPEC);
  });

  it.each([
    ['an op without its parameters', { preproc: { pipeline: ['resize'] } }, 'preproc.pipeline[0]'],
    ['parameters of an op that is not used', { postproc: { pipeline: [], params: { topk: { k: 3 } } } }, 'postproc.params.topk'],
    ['an op listed twice', { preproc: { pipeline: ['hwctochw', 'hwctochw'] } }, 'preproc.pipeline[1]'],
    ['a pixel op after the layout has changed', { preproc: { pipeline: ['hwctochw', 'grayscale'] } }, 'preproc.pipeline[1]'],
    ['an empty range', { preproc: { pipeline: ['scale'], params: { scale: [1, 1] } } }, 'preproc.params.scale'],
    [
      'an overlap above 1',
      { postproc: { pipeline: ['nms'], params: { nms: { IoU_thr: 1.1, conf_thr: 0.5 } } } },
      'postproc.params.nms.IoU_thr',
    ],
    ['a picture without height', { preproc: { pipeline: ['resize'], params: { resize: [0, 10] } } }, 'preproc.params.resize[0]'],
    ['half an epoch', { model: { name: 'm', hyperparams: { lr: 0.1, batch_size: 1, epochs: 0.5 } } }, 'model.hyperparams.epochs'],
    [
      'mean and std of different length',
      { preproc: { pipeline: ['normalize'], params: { normalize: { mean: [0], std: [1, 1] } } } },
      'preproc.params.normalize',
    ],
    ['an index below zero', { triggers: [{ drift: { inferenceModel: 'm', psi: -1 } }] }, 'triggers[0].drift.psi'],
    ['a trigger that is none', { triggers: [{ moon: 'full' }] }, 'triggers[0]'],
  ])('refuses %s, by its path', (_, change, path) => {
    expect(faults(change).map((fault) => fault.split(':')[0])).toContain(path);
  });
});
