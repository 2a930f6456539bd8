import type { PipelineSpec, StepInput, StepSpec } from '@selvedge/contract';

export const IMPORT_TOOL = 'import';

/** The steps of a pipeline without `steps`; the first is the dataset's own artifact. */
export function canonicalSteps(spec: PipelineSpec): [StepSpec, ...StepSpec[]] {
  const { dataset, preproc, postproc, model, split, train } = spec;
  return [
    { id: 'import', tool: IMPORT_TOOL },
    { id: 'process', tool: 'process', inputs: { dataset: 'import' }, parameters: { preproc, path: dataset.path } },
    { id: 'export', tool: 'export', inputs: { pixels: 'process' }, parameters: { preproc } },
    { id: 'split', tool: 'split', inputs: { tensors: 'export' }, parameters: { ...split } },
    {
      id: 'train',
      tool: 'train',
      inputs: { 'training-set': 'split', ...baseInput(train?.from) },
      parameters: {
        hyperparams: model.hyperparams,
        ...(train === undefined ? {} : { train }),
        // A script is told what was done to the pictures; the networks of the engine "onnx" need not know.
        ...(train?.engine === 'python' ? { preproc } : {}),
      },
    },
    {
      id: 'benchmark',
      tool: 'benchmark',
      inputs: { model: 'train', 'training-set': 'split' },
      parameters: { postproc, preproc, title: model.name },
    },
    { id: 'register', tool: 'register', inputs: { model: 'train', benchmark: 'benchmark' } },
  ];
}

/** What is fine-tuned. */
function baseInput(from: string | undefined): Record<string, StepInput> {
  if (from === undefined) return {};
  return { model: /^https?:/.test(from) ? { url: from } : { model: from } };
}
