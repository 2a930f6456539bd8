import { AppError, type ArtifactRequest, artifactNameSchema, nameSchema, type PipelineSpec, type RunSpec } from '@selvedge/contract';
import type { ToolStep } from './run-plan.ts';

/** Longest name of a step; the artifact `<run>.<step>` must still be a valid artifact name. */
const LONGEST_STEP = 'benchmark';

/** Name of a step's artifact: the key under which the work is done once. */
export function artifactOfStep(run: string, spec: RunSpec, step: ToolStep): string {
  return step === 'import' ? spec.dataset.artifact : `${run}.${step}`;
}

/**
 * Where a tool reads another tool's artifact: through the server's gateway, because the tools' own ports change.
 * @param origin - like `http://127.0.0.1:7070`.
 */
export function artifactDataUrl(origin: string, tool: string, artifact: string): string {
  return `${origin}/containers/${tool}/artifacts/${encodeURIComponent(artifact)}/data`;
}

/** Input names as the tools declare them. */
const INPUT_NAMES: Record<Exclude<ToolStep, 'import'>, readonly { input: string; from: ToolStep }[]> = {
  process: [{ input: 'dataset', from: 'import' }],
  export: [{ input: 'pixels', from: 'process' }],
  split: [{ input: 'tensors', from: 'export' }],
  train: [{ input: 'training-set', from: 'split' }],
  benchmark: [
    { input: 'model', from: 'train' },
    { input: 'training-set', from: 'split' },
  ],
};

function parametersOf(spec: RunSpec, step: Exclude<ToolStep, 'import'>): Record<string, unknown> {
  const { dataset, preproc, postproc, model, split, train } = spec.pipelineSpec;
  switch (step) {
    case 'process':
      return { preproc, path: dataset.path };
    case 'export':
      return { preproc };
    case 'split':
      return { ...split };
    case 'train':
      return { hyperparams: model.hyperparams, ...(train === undefined ? {} : { train }) };
    case 'benchmark':
      return { postproc };
  }
}

/** The request for a step's artifact; the import step's is the dataset version's own (`importRequest`). */
export function stepRequest(run: string, spec: RunSpec, step: Exclude<ToolStep, 'import'>, origin: string): ArtifactRequest {
  const inputs = INPUT_NAMES[step].map(({ input, from }) => [
    input,
    { url: artifactDataUrl(origin, from, artifactOfStep(run, spec, from)) },
  ]);
  return { name: artifactOfStep(run, spec, step), parameters: parametersOf(spec, step), inputs: Object.fromEntries(inputs) };
}

/** The train tool makes classifiers that read CHW: one score per class, and no boxes. */
function chainIssues({ preproc, postproc }: PipelineSpec): { path: string; message: string }[] {
  const issues: { path: string; message: string }[] = [];
  const nms = postproc.pipeline.indexOf('nms');
  if (nms >= 0) {
    const message = '"nms" needs a model that gives boxes, and what is trained here is a classifier; use ["softmax", "topk"]';
    issues.push({ path: `spec.postproc.pipeline[${nms}]`, message });
  }
  if (!preproc.pipeline.includes('hwctochw')) {
    issues.push({ path: 'spec.preproc.pipeline', message: 'the network reads channels first: add "hwctochw"' });
  }
  return issues;
}

/**
 * Checks what can be known before the first step: that a pipeline's names can become names of a run, of artifacts and of a
 * model, and that its chains fit what the train tool makes. Better now than after the training.
 * @throws AppError INPUT_INVALID (user).
 */
export function checkRunnable(pipeline: string, runNumber: number, spec: PipelineSpec): void {
  const modelName = spec.model.name;
  const issues = chainIssues(spec);
  // a version's package is named by model, version, target and precision
  const model = nameSchema.max(spec.build === undefined ? 240 : 160).safeParse(modelName);
  if (!model.success) issues.push({ path: 'spec.model.name', message: `"${modelName}" ${model.error.issues[0]?.message ?? 'is invalid'}` });
  if (!artifactNameSchema.safeParse(`${pipeline}-${runNumber}.${LONGEST_STEP}`).success) {
    issues.push({ path: 'metadata.name', message: 'is too long for the names of its runs; 110 characters are possible' });
  }
  if (issues.length === 0) return;
  throw new AppError('INPUT_INVALID', {
    message: `Pipeline "${pipeline}" cannot be run.`,
    hint: 'Change the pipeline file and apply it again.',
    issues,
  });
}
