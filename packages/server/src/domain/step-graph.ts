import {
  DATASET_INPUT,
  inputStepsOf,
  needsOf,
  type PipelineSpec,
  parseCondition,
  type RunDataset,
  type RunSpec,
  type StepCondition,
  type StepInput,
  type StepSpec,
} from '@selvedge/contract';
import { canonicalSteps, IMPORT_TOOL } from './canonical-steps.ts';
import { evaluationBenchmark, evaluationSteps, withWanted } from './evaluation-steps.ts';

/** `dataset`: the dataset version's own artifact; `tool`: an artifact of the run; the others are the server's own work. */
type StepKind = 'dataset' | 'tool' | 'register' | 'build' | 'sweep';

/** A step with everything decided that its pipeline leaves open. */
export interface GraphStep {
  readonly id: string;
  readonly kind: StepKind;
  readonly tool: string;
  /** All steps that must be done first. */
  readonly needs: readonly string[];
  readonly inputs: Readonly<Record<string, StepInput>>;
  /** May hold references. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly retries: number;
  readonly backoffMs: number;
  readonly timeoutMs: number | null;
  readonly when: StepCondition | null;
  readonly cache: boolean;
  /** Of the steps that measure the model on a further dataset: that dataset. */
  readonly evaluates?: RunDataset;
}

const DEFAULT_BACKOFF_S = 5;

/** What the server makes artifacts of. */
export function makesArtifact(step: GraphStep): boolean {
  return step.kind === 'tool' || step.kind === 'dataset';
}

/** The steps whose artifacts a step reads. */
export function readsOf(step: GraphStep): string[] {
  return [...new Set(inputStepsOf({ inputs: { ...step.inputs } }))];
}

function graphStep(kind: StepKind, spec: StepSpec): GraphStep {
  const condition = spec.when === undefined ? undefined : parseCondition(spec.when);
  return {
    id: spec.id,
    kind,
    tool: spec.tool,
    needs: needsOf(spec),
    inputs: spec.inputs ?? {},
    parameters: spec.parameters ?? {},
    retries: spec.retries ?? 0,
    backoffMs: (spec.backoffS ?? DEFAULT_BACKOFF_S) * 1000,
    timeoutMs: spec.timeoutS === undefined ? null : spec.timeoutS * 1000,
    when: condition?.ok === true ? condition.value : null,
    cache: spec.cache ?? true,
  };
}

/** The same steps, each after those that it needs, otherwise in the order given. */
function inOrder(steps: readonly GraphStep[]): GraphStep[] {
  const ordered: GraphStep[] = [];
  const left = [...steps];
  while (left.length > 0) {
    const at = left.findIndex((step) => step.needs.every((need) => !left.some((other) => other.id === need)));
    if (at < 0) break; // a circle, which the pipeline's schema refuses
    ordered.push(...left.splice(at, 1));
  }
  return ordered;
}

/** What a run has pinned of its task's criteria. */
type Judging = Pick<RunSpec, 'wanted' | 'evaluations'>;

function stepsOf(spec: PipelineSpec, judging: Judging = {}): GraphStep[] {
  const kindOf = ({ tool }: StepSpec): StepKind => (tool === 'register' ? 'register' : 'tool');
  if (spec.steps === undefined) {
    const [first, ...rest] = withWanted(canonicalSteps(spec), judging);
    return [graphStep('dataset', first), ...rest.map((step) => graphStep(kindOf(step), step))];
  }
  const steps = spec.steps.map((step) => graphStep(kindOf(step), step));
  const readsDataset = steps.some((step) => readsOf(step).includes(DATASET_INPUT));
  return readsDataset ? [graphStep('dataset', { id: DATASET_INPUT, tool: IMPORT_TOOL }), ...steps] : steps;
}

/**
 * The steps of a run of this pipeline, each after those that it needs. A sweep has one step for all its runs and then does
 * with the best of them what else would be done with the one; its runs end before that.
 */
export function stepGraphOf(spec: PipelineSpec, options: { inSweep?: boolean; judging?: Judging } = {}): GraphStep[] {
  const all = withEvaluations(spec, stepsOf(spec, options.judging), options.judging);
  if (options.inSweep === true) return inOrder(all.filter((step) => step.kind !== 'register'));
  const register = all.find((step) => step.kind === 'register');
  const build =
    register !== undefined && spec.build !== undefined ? [graphStep('build', { id: 'build', tool: 'build', needs: [register.id] })] : [];
  if (spec.sweep === undefined) return inOrder([...all, ...build]);
  const sweep = graphStep('sweep', { id: 'sweep', tool: 'sweep' });
  return [sweep, ...(register === undefined ? [] : [{ ...register, needs: [sweep.id], inputs: {} }]), ...build];
}

export function graphOfRun(spec: Pick<RunSpec, 'pipelineSpec' | 'sweepOf' | 'wanted' | 'evaluations'>): GraphStep[] {
  return stepGraphOf(spec.pipelineSpec, { inSweep: spec.sweepOf !== undefined, judging: spec });
}

/** The model is measured on the further datasets before it is registered. */
function withEvaluations(spec: PipelineSpec, steps: readonly GraphStep[], { evaluations = [] }: Judging = {}): GraphStep[] {
  const model = registeredSteps(spec)?.model;
  if (model === undefined) return [...steps];
  const added = evaluations.flatMap((evaluation, index) => {
    const [data, ...rest] = evaluationSteps(spec, evaluation, index, model.id);
    return [graphStep('dataset', data), ...rest.map((step) => graphStep('tool', step))].map((step) => ({
      ...step,
      evaluates: evaluation.dataset,
    }));
  });
  const measured = evaluations.map((_, index) => evaluationBenchmark(index));
  return [...steps.map((step) => (step.kind === 'register' ? { ...step, needs: [...step.needs, ...measured] } : step)), ...added];
}

/** The dataset that a step of kind `dataset` stands for. */
export function datasetOfStep({ dataset }: Pick<RunSpec, 'dataset'>, step: GraphStep): RunDataset {
  return step.evaluates ?? dataset;
}

/** The steps that end in this one, itself included. */
export function withDependents(graph: readonly GraphStep[], id: string): Set<string> {
  const found = new Set([id]);
  for (const step of graph) if (step.needs.some((need) => found.has(need))) found.add(step.id);
  return found;
}

/** Steps that make what `register` registers: the ids of the model's and the benchmark's, also for a run of a sweep. */
export function registeredSteps(spec: PipelineSpec): { model: GraphStep; benchmark: GraphStep } | undefined {
  const all = stepsOf(spec);
  const register = all.find((step) => step.kind === 'register');
  const model = all.find((step) => step.id === register?.inputs.model);
  const benchmark = all.find((step) => step.id === register?.inputs.benchmark);
  return model === undefined || benchmark === undefined ? undefined : { model, benchmark };
}
