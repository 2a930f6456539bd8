import {
  DEVICE_METRICS,
  GATE_METRICS,
  type GateMetric,
  type GateOperator,
  type GateResult,
  type ModelEvaluation,
  meetsGate,
  PACKAGE_METRIC,
  type Package,
  type PackageBenchmark,
  splitDatasetReference,
  VERSION_METRICS,
} from '@selvedge/contract';

/** One machine-checkable line: `p95Ms <= 30`. Without an operator it is a metric that a criterion names. */
export interface Gate {
  metric: GateMetric;
  operator: GateOperator | null;
  wanted: number | null;
  /** What to measure on, `NAME` or `NAME@V`; absent: the test data of the model's own dataset. */
  dataset?: string;
}

export interface ParsedGates {
  gates: Gate[];
  /** Lines that look like a gate and cannot be one: a person meant something that nobody would check. */
  issues: string[];
}

const COMPARISON =
  /^[-*\u2022\s]*([A-Za-z][\w./@:-]*)\s*(<=|>=|==|=<|=>|\u2264|\u2265|<|>|=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*$/;
const NAME_ALONE = /^[-*\u2022\s]*([A-Za-z][\w./@:-]*)\s*\.?$/;
const OPERATORS: Readonly<Record<string, GateOperator>> = { '<=': '<=', '>=': '>=', '==': '==', '≤': '<=', '≥': '>=', '<': '<', '>': '>' };
const MIB = 1024 * 1024;

/** `mAP@50:95`, `map50-95` and `rank-1` alike: letters and digits are what counts. */
const lettersOf = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** As it is written by people: whatever the case and the signs inside, with or without the benchmark tool's prefix. */
function findMetric(name: string): GateMetric | undefined {
  const plain = lettersOf(name.replace(/^(test|task)[./]/, ''));
  return GATE_METRICS.find((metric) => lettersOf(metric) === plain);
}

function parseLine(line: string): Gate | { issue: string } | undefined {
  const [, name, sign, number, rest] = COMPARISON.exec(line) ?? [];
  if (name === undefined || sign === undefined || number === undefined) return undefined;
  const metric = findMetric(name);
  const operator = OPERATORS[sign];
  if (metric === undefined) return { issue: `"${line}" names a metric that nothing measures; known: ${GATE_METRICS.join(', ')}` };
  if (operator === undefined) return { issue: `"${line}" has an operator that is not one of <=, >=, <, >, ==` };
  if (rest !== '' && rest !== '.') return { issue: `"${line}" has more after the number; the unit is part of the metric's name` };
  return { metric, operator, wanted: Number(number) };
}

/**
 * The machine-checkable lines of a text, which are separated by newlines, commas or semicolons; all else is prose.
 *
 * @param options.names - metrics may be named without a bound, as in criteria.
 */
export function parseGates(text: string | readonly string[], options: { names?: boolean } = {}): ParsedGates {
  const parsed: ParsedGates = { gates: [], issues: [] };
  const lines = (typeof text === 'string' ? [text] : text).flatMap((part) => part.split(/[\n;]|,(?!\d)/));
  for (const line of lines.map((part) => part.trim())) {
    const found = parseLine(line);
    if (found === undefined) {
      const [, name] = (options.names === true && NAME_ALONE.exec(line)) || [];
      const metric = name === undefined ? undefined : findMetric(name);
      if (metric !== undefined) parsed.gates.push({ metric, operator: null, wanted: null });
    } else if ('issue' in found) parsed.issues.push(found.issue);
    else parsed.gates.push(found);
  }
  return parsed;
}

export interface GateFacts {
  /** `model:version`, for what to do. */
  reference: string;
  metrics: Readonly<Record<string, number>>;
  /** What was measured on further datasets. */
  evaluations?: readonly ModelEvaluation[] | undefined;
  /** What was measured, of the present archives, on the devices in question. */
  benchmarks: readonly PackageBenchmark[];
  /** Packages that serve, or would. */
  packages: readonly Package[];
}

interface Sample {
  value: number;
  where: string;
}

function measurementOf(benchmark: PackageBenchmark, metric: GateMetric): number | undefined {
  switch (metric) {
    case 'p50Ms':
      return benchmark.latencyMs.p50;
    case 'p90Ms':
      return benchmark.latencyMs.p90;
    case 'p95Ms':
      return benchmark.latencyMs.p95;
    case 'p99Ms':
      return benchmark.latencyMs.p99;
    case 'imagesPerS':
      return benchmark.imagesPerS;
    case 'rssMiB':
      return benchmark.rssBytes / MIB;
    case 'coldStartMs':
      return benchmark.coldStartMs;
    default:
      return undefined;
  }
}

/** The newest measurement on a dataset, or the one on the version of it that is named. */
function evaluationOn(reference: string, { evaluations = [] }: GateFacts): ModelEvaluation | undefined {
  const { name, version } = splitDatasetReference(reference);
  const found = evaluations.filter(({ dataset }) => dataset.name === name && (version === undefined || dataset.version === version));
  return found.toSorted((a, b) => a.dataset.version - b.dataset.version).at(-1);
}

function samplesOf({ metric, dataset }: Gate, facts: GateFacts): Sample[] {
  if (dataset !== undefined) {
    const evaluation = evaluationOn(dataset, facts);
    const value = evaluation?.metrics[metric];
    return evaluation === undefined || value === undefined
      ? []
      : [{ value, where: `on ${evaluation.samples} samples of ${nameOf(evaluation)}` }];
  }
  if (includes(VERSION_METRICS, metric)) {
    const value = facts.metrics[metric] ?? facts.metrics[`test/${metric}`];
    return value === undefined ? [] : [{ value, where: 'on the test data' }];
  }
  if (metric === PACKAGE_METRIC)
    return facts.packages.flatMap(({ metadata, status }) => {
      const files = status.manifest?.files;
      return files === undefined ? [] : [{ value: files.reduce((sum, file) => sum + file.sizeBytes, 0) / MIB, where: metadata.name }];
    });
  return facts.benchmarks.flatMap((benchmark) => {
    const value = measurementOf(benchmark, metric);
    return value === undefined ? [] : [{ value, where: `on ${benchmark.device}` }];
  });
}

/** The sample that is furthest from what is wanted. */
function worstOf(samples: readonly Sample[], { operator, wanted }: Gate): Sample | undefined {
  const badness = ({ value }: Sample): number => {
    if (operator === '<=' || operator === '<') return value;
    if (operator === '==') return Math.abs(value - (wanted ?? 0));
    return -value;
  };
  return samples.reduce<Sample | undefined>(
    (worst, one) => (worst === undefined || badness(one) > badness(worst) ? one : worst),
    undefined,
  );
}

const nameOf = ({ dataset }: ModelEvaluation) => `${dataset.name}@${dataset.version}`;

function whatToDo({ metric, dataset }: Gate, reference: string): string {
  if (dataset !== undefined) return `start a run of its pipeline, which measures on ${dataset}`;
  if (includes(DEVICE_METRICS, metric)) return `measure it with "selvedge bench ${reference} --on DEVICE"`;
  if (metric === PACKAGE_METRIC) return `build a package with "selvedge build create ${reference} --target TARGET"`;
  return 'train it with test data';
}

/** How a version does by each gate, in their order. What was not measured does not pass. */
export function evaluateGates(gates: readonly Gate[], facts: GateFacts): GateResult[] {
  return gates.map((gate) => {
    const { metric, operator, wanted } = gate;
    const worst = worstOf(samplesOf(gate, facts), gate);
    const passed = operator === null || wanted === null ? null : worst !== undefined && meetsGate(worst.value, operator, wanted);
    const message =
      worst === undefined ? `not measured; ${whatToDo(gate, facts.reference)}` : `${Number(worst.value.toPrecision(4))} ${worst.where}`;
    return { metric, operator, wanted, ...measuredOn(gate, facts), value: worst?.value ?? null, passed, message };
  });
}

function measuredOn({ dataset }: Gate, facts: GateFacts): { dataset?: string } {
  if (dataset === undefined) return {};
  const evaluation = evaluationOn(dataset, facts);
  return { dataset: evaluation === undefined ? dataset : nameOf(evaluation) };
}

/** `p95Ms <= 30`, `accuracy >= 0.9 on digits-field@2` */
export function gateText({ metric, operator, wanted, dataset }: Pick<GateResult, 'metric' | 'operator' | 'wanted' | 'dataset'>): string {
  const bound = operator === null ? metric : `${metric} ${operator} ${wanted}`;
  return dataset === undefined ? bound : `${bound} on ${dataset}`;
}

/** Why a version may not be deployed; null when it may. */
export function gateRefusal(results: readonly GateResult[], reference: string): { reason: string; message: string } | null {
  const failed = results.filter((result) => result.passed === false);
  const [first] = failed;
  if (first === undefined) return null;
  const measured = failed.filter((result) => result.value !== null);
  const reason = measured.length > 0 ? 'GateNotPassed' : 'GateNotMeasured';
  const told = (measured.length > 0 ? measured : failed).map((result) => `${gateText(result)}: ${result.message}`).join('; ');
  return { reason, message: `${reference} does not keep the constraints of its task: ${told}.` };
}

function includes(list: readonly string[], value: string): boolean {
  return list.includes(value);
}
