import {
  type Criterion,
  type DatasetContent,
  type DatasetType,
  type Issue,
  LESS_IS_BETTER,
  type RunEvaluation,
  splitDatasetReference,
  type Task,
  VERSION_METRICS,
  type WantedMetric,
} from '@selvedge/contract';
import { type Gate, type ParsedGates, parseGates } from './gates.ts';

type Criteria = Task['spec']['evaluation_criterias'];

function gateOf({ metric, threshold, operator, dataset }: Criterion): Gate {
  const on = dataset === undefined ? {} : { dataset };
  if (threshold === undefined) return { metric, operator: null, wanted: null, ...on };
  return { metric, operator: operator ?? (LESS_IS_BETTER.includes(metric) ? '<=' : '>='), wanted: threshold, ...on };
}

/** What a task's `evaluation_criterias` ask for, in their order: those in fields, and the lines of text that name a metric. */
export function parseCriteria(criterias: Criteria): ParsedGates {
  const parts = (typeof criterias === 'string' ? [criterias] : criterias).map(
    (part): ParsedGates => (typeof part === 'string' ? parseGates(part, { names: true }) : { gates: [gateOf(part)], issues: [] }),
  );
  return { gates: parts.flatMap(({ gates }) => gates), issues: parts.flatMap(({ issues }) => issues) };
}

/** A dataset that criteria name, with all that they want of it. */
export interface NamedDataset {
  /** Of the first criterion that names it, in the task. */
  readonly path: string;
  readonly name: string;
  /** Undefined: the newest. */
  readonly version: number | undefined;
  readonly wanted: WantedMetric[];
}

function wantedOf({ metric, operator, wanted }: Gate): WantedMetric[] {
  const known = VERSION_METRICS.find((one) => one === metric);
  return known === undefined ? [] : [{ metric: known, operator, wanted }];
}

/** The datasets that a task's criteria name, each once. */
export function namedDatasets(criterias: Criteria): NamedDataset[] {
  const found = new Map<string, NamedDataset>();
  for (const [at, part] of (typeof criterias === 'string' ? [] : criterias).entries()) {
    if (typeof part === 'string' || part.dataset === undefined) continue;
    const known = found.get(part.dataset);
    const wanted = wantedOf(gateOf(part));
    if (known !== undefined) known.wanted.push(...wanted);
    else found.set(part.dataset, { path: `spec.evaluation_criterias[${at}].dataset`, ...splitDatasetReference(part.dataset), wanted });
  }
  return [...found.values()];
}

/** What the criteria want of the test data of a run's own dataset. */
export function wantedOfOwnData(criterias: Criteria): WantedMetric[] {
  return parseCriteria(criterias)
    .gates.filter(({ dataset }) => dataset === undefined)
    .flatMap(wantedOf);
}

/** What is to be measured of a dataset: its test data, or all of it where it has none. */
export function evaluatedPath({ splits }: Pick<DatasetContent, 'splits'>): string {
  if ((splits.test ?? 0) > 0) return 'test';
  const filled = Object.entries(splits).filter(([, count]) => count > 0);
  const [only] = filled;
  return filled.length === 1 && only !== undefined ? only[0] : '.';
}

export interface EvaluatedContent {
  readonly type: DatasetType;
  readonly labels: readonly string[];
}

/** Why a model that was made of one dataset cannot be measured on another; undefined when it can. */
export function evaluationIssue(
  { path, name }: NamedDataset,
  evaluated: EvaluatedContent & { version: number },
  trained: EvaluatedContent,
  isEmbedding: boolean,
): Issue | undefined {
  const reference = `${name}@${evaluated.version}`;
  if (evaluated.type !== trained.type)
    return { path, message: `"${reference}" is for ${evaluated.type}, and the pipeline's dataset for ${trained.type}` };
  if (isEmbedding) return undefined; // identities of their own are what it is measured with
  const unknown = evaluated.labels.filter((label) => !trained.labels.includes(label));
  if (unknown.length === 0) return undefined;
  const named = unknown.slice(0, 5).map((label) => JSON.stringify(label));
  const more = unknown.length > named.length ? ` and ${unknown.length - named.length} more` : '';
  return { path, message: `"${reference}" has classes that the model does not learn: ${named.join(', ')}${more}` };
}

/** Evaluations that name one version twice, once by its number and once as the newest, become one. */
export function mergeEvaluations(evaluations: readonly RunEvaluation[]): RunEvaluation[] {
  const merged = new Map<string, RunEvaluation>();
  for (const one of evaluations) {
    const key = `${one.dataset.name}@${one.dataset.version}`;
    const known = merged.get(key);
    merged.set(key, known === undefined ? one : { ...known, wanted: [...known.wanted, ...one.wanted] });
  }
  return [...merged.values()];
}
