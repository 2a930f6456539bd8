import {
  type ComparedPipeline,
  type GateResult,
  LESS_IS_BETTER,
  type ModelVersion,
  type Run,
  type Task,
  type TaskComparison,
} from '@selvedge/contract';
import { parseCriteria } from './criteria.ts';
import { type Gate, gateText } from './gates.ts';
import { scoreCriteria } from './version-gates.ts';

const TRAIN_TOOL = 'train';

/** A version that a run of the pipeline has registered, and the run unless it was removed. */
interface Contestant {
  readonly version: ModelVersion;
  readonly run: Run | undefined;
}

export interface PipelineEntry {
  readonly pipeline: string;
  readonly runs: number;
  readonly contestants: readonly Contestant[];
}

/** Higher is better, whatever the metric. */
function worth({ metric, operator, value, wanted }: GateResult): number {
  if (value === null) return Number.NEGATIVE_INFINITY;
  if (operator === '==') return -Math.abs(value - (wanted ?? 0));
  const less = operator === null ? LESS_IS_BETTER.includes(metric) : operator.startsWith('<');
  return less ? -value : value;
}

/** Whether everything that has a bound keeps it; null when nothing has. */
function passedAll(criteria: readonly GateResult[]): boolean | null {
  const bound = criteria.filter(({ passed }) => passed !== null);
  return bound.length === 0 ? null : bound.every(({ passed }) => passed === true);
}

/** The better first: more criteria kept, then by the value of each criterion in their order. */
function compareResults(a: readonly GateResult[], b: readonly GateResult[]): number {
  const kept = (results: readonly GateResult[]) => results.filter(({ passed }) => passed === true).length;
  if (kept(a) !== kept(b)) return kept(b) - kept(a);
  for (const [i, mine] of a.entries()) {
    const other = b[i];
    const [left, right] = [worth(mine), other === undefined ? Number.NEGATIVE_INFINITY : worth(other)];
    if (left !== right) return right > left ? 1 : -1;
  }
  return 0;
}

function secondsBetween(from: string | null | undefined, to: string | null | undefined): number | null {
  return from == null || to == null ? null : (Date.parse(to) - Date.parse(from)) / 1000;
}

function costOf({ version, run }: Contestant): NonNullable<ComparedPipeline['best']>['cost'] {
  const training = run?.status.steps.filter((step) => (step.tool ?? step.name) === TRAIN_TOOL) ?? [];
  const seconds = training.flatMap((step) => secondsBetween(step.startedAt, step.finishedAt) ?? []);
  return {
    runSeconds: secondsBetween(run?.status.startedAt, run?.status.finishedAt),
    trainSeconds: seconds.length === 0 ? null : seconds.reduce((sum, one) => sum + one, 0),
    modelBytes: version.spec.file.sizeBytes,
  };
}

function bestOf(contestants: readonly Contestant[], task: Task): ComparedPipeline['best'] {
  const judged = contestants.map((contestant) => ({ contestant, criteria: scoreCriteria(contestant.version, task) ?? [] }));
  const newest = (a: Contestant, b: Contestant) => (a.version.metadata.createdAt < b.version.metadata.createdAt ? 1 : -1);
  const [best] = judged.sort((a, b) => compareResults(a.criteria, b.criteria) || newest(a.contestant, b.contestant));
  if (best === undefined) return null;
  const { spec } = best.contestant.version;
  return {
    run: spec.lineage?.run ?? '',
    modelVersion: `${spec.model}:${spec.version}`,
    criteria: best.criteria,
    passed: passedAll(best.criteria),
    metrics: spec.metrics,
    cost: costOf(best.contestant),
  };
}

/** The pipelines of a task by the best version of each; the best pipeline first, those without any last. */
export function compareTask(task: Task, entries: readonly PipelineEntry[]): TaskComparison {
  const { gates, issues } = parseCriteria(task.spec.evaluation_criterias);
  const pipelines = entries.map(
    ({ pipeline, runs, contestants }): ComparedPipeline => ({ pipeline, runs, best: bestOf(contestants, task) }),
  );
  pipelines.sort((a, b) => {
    if (a.best === null || b.best === null) return Number(a.best === null) - Number(b.best === null) || (a.pipeline < b.pipeline ? -1 : 1);
    return compareResults(a.best.criteria, b.best.criteria) || (a.pipeline < b.pipeline ? -1 : 1);
  });
  return {
    task: task.metadata.name,
    criteria: gates.map((gate: Gate) => gateText(gate)),
    issues,
    costFunction: task.spec.cost_function,
    pipelines,
  };
}
