import type { PipelineSpec, RunEvaluation, RunSpec, StepSpec } from '@selvedge/contract';
import { IMPORT_TOOL } from './canonical-steps.ts';

const EVALUATION_STEP = /^eval-\d+(-|$)/;

/** Whether a step is one of those that measure the model on a dataset that the task names. */
export function isEvaluationStep(id: string): boolean {
  return EVALUATION_STEP.test(id);
}

/** Id of the step that measures on the nth evaluation of a run. */
export function evaluationBenchmark(index: number): string {
  return `eval-${index + 1}-benchmark`;
}

/**
 * The steps that bring one evaluation's data to the model and measure it there: what the run does with its own data, but
 * for the training. The first is the dataset version's own artifact.
 */
export function evaluationSteps(
  spec: PipelineSpec,
  { dataset, path, labels, wanted }: RunEvaluation,
  index: number,
  model: string,
): [StepSpec, ...StepSpec[]] {
  const { preproc, postproc } = spec;
  const id = `eval-${index + 1}`;
  const title = `${spec.model.name} on ${dataset.name}@${dataset.version}`;
  return [
    { id, tool: IMPORT_TOOL },
    {
      id: `${id}-process`,
      tool: 'process',
      inputs: { dataset: id },
      parameters: { preproc, path: { test: path }, ...(labels && { labels }) },
    },
    { id: `${id}-export`, tool: 'export', inputs: { pixels: `${id}-process` }, parameters: { preproc } },
    {
      id: evaluationBenchmark(index),
      tool: 'benchmark',
      inputs: { model, 'training-set': `${id}-export` },
      parameters: { postproc, preproc, title, wanted, ...(labels === undefined ? { kind: 'embedding' } : {}) },
    },
  ];
}

/** What the run wants of its own test data is told to the benchmark that it has without saying so. */
export function withWanted(steps: [StepSpec, ...StepSpec[]], { wanted = [] }: Pick<RunSpec, 'wanted'>): [StepSpec, ...StepSpec[]] {
  if (wanted.length === 0) return steps;
  const [first, ...rest] = steps;
  return [first, ...rest.map((step) => (step.tool === 'benchmark' ? { ...step, parameters: { ...step.parameters, wanted } } : step))];
}
