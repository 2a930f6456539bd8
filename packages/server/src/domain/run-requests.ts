import {
  AppError,
  type ArtifactRequest,
  artifactNameSchema,
  type DatasetType,
  hyperparamsSchema,
  type Issue,
  nameSchema,
  type PipelineSpec,
  type RunSpec,
  type RunStep,
  stepReferences,
} from '@selvedge/contract';
import { evaluationBenchmark, isEvaluationStep } from './evaluation-steps.ts';
import { datasetOfStep, type GraphStep, stepGraphOf } from './step-graph.ts';
import { drawsOf } from './sweep-plan.ts';
import { trainingChainIssues } from './training-chains.ts';

/** Longest end of an artifact's name: of the tenth try. */
const RETRY_SUFFIX = '.10';

/** Name of the artifact that a step asks for: the key under which the work is done once. Each try has its own, so that the log of one that failed stays. */
export function ownArtifact(run: string, step: Pick<RunStep, 'name' | 'try'>): string {
  const tried = step.try ?? 1;
  return tried === 1 ? `${run}.${step.name}` : `${run}.${step.name}.${tried}`;
}

/** All artifacts that the tries of a step have made, the newest last. */
export function triedArtifacts(run: string, step: Pick<RunStep, 'name' | 'try'>): string[] {
  return Array.from({ length: step.try ?? 1 }, (_, at) => ownArtifact(run, { name: step.name, try: at + 1 }));
}

/** The artifact that is looked at for a step: the one that it has, or the one that it would ask for. */
export function artifactOfStep(run: string, spec: RunSpec, graphStep: GraphStep, step: RunStep): string {
  if (graphStep.kind === 'dataset') return datasetOfStep(spec, graphStep).artifact;
  return step.state === 'completed' && step.artifact !== null ? step.artifact : ownArtifact(run, step);
}

/**
 * Where a tool reads another tool's artifact: through the server's gateway, because the tools' own ports change.
 * @param origin - like `http://127.0.0.1:7070`.
 */
export function artifactDataUrl(origin: string, tool: string, artifact: string, file?: string): string {
  const path = file === undefined ? '' : `/${file.split('/').map(encodeURIComponent).join('/')}`;
  return `${origin}/containers/${tool}/artifacts/${encodeURIComponent(artifact)}/data${path}`;
}

/**
 * The request for a step's artifact; that of the dataset's step is the dataset version's own.
 * @param parameters - after substitution.
 * @param artifactIn - name and tool of the artifact of another step.
 */
export function stepRequest(
  name: string,
  step: GraphStep,
  parameters: Record<string, unknown>,
  artifactIn: (step: string) => { tool: string; artifact: string },
  { origin, models = {} }: { origin: string; models?: RunSpec['models'] },
): ArtifactRequest {
  const inputs = Object.entries(step.inputs).map(([input, from]) => {
    if (typeof from !== 'string' && 'url' in from) return [input, from] as const;
    if (typeof from !== 'string' && 'model' in from) return [input, modelFile(from.model, models, origin)] as const;
    const { tool, artifact } = artifactIn(typeof from === 'string' ? from : from.step);
    return [input, { url: artifactDataUrl(origin, tool, artifact, typeof from === 'string' ? undefined : from.file) }] as const;
  });
  return { name, parameters, inputs: Object.fromEntries(inputs) };
}

/** The tools know inputs by their files' names. */
function modelFile(reference: string, models: Readonly<Record<string, string>>, origin: string): { url: string; sha256: string } {
  const sha256 = models[reference];
  if (sha256 === undefined) throw new AppError('REFERENCE_MISSING', { message: `The run does not say which file "${reference}" is.` });
  return { url: `${origin}/api/v1/blobs/${sha256}?name=model.onnx`, sha256 };
}

/** The versions of models, `NAME:V`, that the steps of a pipeline read. */
export function modelReferences(spec: PipelineSpec): string[] {
  const inputs = stepGraphOf({ ...spec, sweep: undefined }).flatMap((step) => Object.values(step.inputs));
  return [...new Set(inputs.flatMap((input) => (typeof input !== 'string' && 'model' in input ? [input.model] : [])))];
}

function stepIssues(spec: PipelineSpec, hasTool: (tool: string) => boolean): Issue[] {
  const issues: Issue[] = [];
  const hyperparams = Object.keys(spec.model.hyperparams);
  for (const [at, step] of (spec.steps ?? []).entries()) {
    if (isEvaluationStep(step.id))
      issues.push({ path: `spec.steps[${at}].id`, message: `"${step.id}" is a name of the server's own, for criteria with a dataset` });
    if (step.tool !== 'register' && !hasTool(step.tool))
      issues.push({
        path: `spec.steps[${at}].tool`,
        message: `there is no tool "${step.tool}"; "selvedge module list" shows those that there are`,
      });
    for (const reference of stepReferences(step))
      if (reference.from === 'hyperparams' && !hyperparams.includes(reference.name))
        issues.push({
          path: `spec.steps[${at}]`,
          message: `hyperparams.${reference.name} is not set; there are ${hyperparams.join(', ')}`,
        });
  }
  return issues;
}

function sweepIssues(spec: PipelineSpec): Issue[] {
  if (spec.sweep === undefined) return [];
  const issues = new Map<string, string>();
  for (const draw of drawsOf(spec.sweep)) {
    const parsed = hyperparamsSchema.safeParse({ ...spec.model.hyperparams, ...draw });
    for (const issue of parsed.error?.issues ?? []) {
      const name = issue.code === 'unrecognized_keys' ? issue.keys[0] : issue.path[0];
      const message =
        issue.code === 'unrecognized_keys' ? 'is not a hyperparameter' : `${JSON.stringify(draw[String(name)])}: ${issue.message}`;
      issues.set(`spec.sweep.parameters.${String(name)}`, message);
    }
  }
  return [...issues].map(([path, message]) => ({ path, message }));
}

/**
 * Checks what can be known before the first step: that a pipeline's names can become names of a run, of artifacts and of a
 * model, that its tools exist, that its sweep draws possible values, and that its chains fit what the train tool makes.
 * Better now than after the training.
 * @param dataset - its type, where that is known.
 * @throws AppError INPUT_INVALID (user).
 */
export function checkRunnable(
  pipeline: string,
  runNumber: number,
  spec: PipelineSpec,
  { hasTool, dataset }: { hasTool: (tool: string) => boolean; dataset?: DatasetType | undefined },
): void {
  const modelName = spec.model.name;
  const issues = [...(spec.steps === undefined ? trainingChainIssues(spec, dataset) : stepIssues(spec, hasTool)), ...sweepIssues(spec)];
  // a version's package is named by model, version, target and precision
  const model = nameSchema.max(spec.build === undefined ? 240 : 160).safeParse(modelName);
  if (!model.success) issues.push({ path: 'spec.model.name', message: `"${modelName}" ${model.error.issues[0]?.message ?? 'is invalid'}` });
  const steps = [
    ...stepGraphOf(spec, { inSweep: true }).map(({ id }) => id),
    ...(spec.task === undefined ? [] : [evaluationBenchmark(99)]),
  ];
  const longest = steps.reduce((found, id) => (id.length > found.length ? id : found), '');
  const run = `${pipeline}-${runNumber}${spec.sweep === undefined ? '' : '.s1000'}`;
  if (!artifactNameSchema.safeParse(`${run}.${longest}${RETRY_SUFFIX}`).success) {
    issues.push({ path: 'metadata.name', message: 'is too long for the names of its runs; 100 characters are possible' });
  }
  if (spec.build !== undefined && spec.steps?.every((step) => step.tool !== 'register') === true)
    issues.push({ path: 'spec.build', message: 'packages are built of a registered version: add a step with the tool "register"' });
  if (issues.length === 0) return;
  throw new AppError('INPUT_INVALID', {
    message: `Pipeline "${pipeline}" cannot be run.`,
    hint: 'Change the pipeline file and apply it again.',
    issues,
  });
}
