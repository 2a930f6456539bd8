import type { Readable } from 'node:stream';
import {
  AppError,
  type BenchmarkReport,
  benchmarkReportSchema,
  type ReportFormat,
  type Run,
  splitDatasetReference,
} from '@selvedge/contract';
import { evaluationBenchmark } from '../domain/evaluation-steps.ts';
import { type GraphStep, graphOfRun, makesArtifact, registeredSteps } from '../domain/step-graph.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { readSmallJson } from './read-small-json.ts';
import { runNotFound } from './run-service.ts';

const FILES: Readonly<Record<ReportFormat, string>> = {
  html: 'report.html',
  json: 'report.json',
  csv: 'report.csv',
  'metrics-csv': 'metrics.csv',
};
const BENCHMARK_TOOL = 'benchmark';

/** The reports that the benchmarks of runs have left. */
export class RunReports {
  readonly #options: { store: Store; tools: ToolClient };

  constructor(options: { store: Store; tools: ToolClient }) {
    this.#options = options;
  }

  /**
   * @param dataset - one that the run has measured on beside its own, `NAME` or `NAME@V`; default: its own.
   * @throws AppError NOT_FOUND when there is no such run, it has no benchmark, or that is not done yet; TOOL_UNAVAILABLE (wait).
   */
  async open(name: string, format: ReportFormat, signal: AbortSignal, dataset?: string): Promise<Readable> {
    const run = await this.#options.store.get('Run', name);
    if (run === undefined) throw runNotFound(name);
    const { tool, artifact } = benchmarkOf(run, dataset);
    const file = await this.#options.tools.openFile(tool, artifact, FILES[format], signal);
    if (file !== undefined) return file;
    throw new AppError('NOT_FOUND', {
      message: `The benchmark of run "${name}" has no ${FILES[format]}.`,
      hint: 'It was removed, or made by a tool that writes none; "selvedge run rerun" makes it again.',
    });
  }

  /** The report as data; undefined when it is not there any more. */
  async read(run: Run, signal: AbortSignal): Promise<BenchmarkReport | undefined> {
    const { tool, artifact } = benchmarkOf(run);
    const file = await this.#options.tools.openFile(tool, artifact, FILES.json, signal);
    return file === undefined ? undefined : readSmallJson(file, benchmarkReportSchema, FILES.json);
  }
}

/** The measurement on a further dataset. */
function evaluationOf({ spec, metadata }: Run, reference: string): GraphStep {
  const { name, version } = splitDatasetReference(reference);
  const evaluations = spec.evaluations ?? [];
  const index = evaluations.findIndex(({ dataset }) => dataset.name === name && (version === undefined || dataset.version === version));
  const step = graphOfRun(spec).find(({ id }) => id === evaluationBenchmark(index));
  if (index >= 0 && step !== undefined) return step;
  const known = evaluations.map(({ dataset }) => `${dataset.name}@${dataset.version}`).join(', ');
  throw new AppError('NOT_FOUND', {
    message: `Run "${metadata.name}" does not measure on "${reference}".`,
    hint: known === '' ? 'Criteria of its task name no dataset.' : `Beside its own data: ${known}.`,
  });
}

/** What made the report: the benchmark that is registered, else the last step of the benchmark tool. */
function benchmarkOf(run: Run, dataset?: string): { tool: string; artifact: string } {
  const { spec, status, metadata } = run;
  const { name } = metadata;
  if (spec.pipelineSpec.sweep !== undefined && spec.sweepOf === undefined) {
    const best = status.sweep?.best?.run;
    const hint = best === undefined ? 'Wait until one of its runs has succeeded.' : `The best of its runs is "${best}".`;
    throw new AppError('NOT_FOUND', { message: `Run "${name}" is a sweep: its runs have the reports.`, hint });
  }
  const isOwn = (step: GraphStep) => makesArtifact(step) && step.tool === BENCHMARK_TOOL && step.evaluates === undefined;
  const own = registeredSteps(spec.pipelineSpec)?.benchmark ?? graphOfRun(spec).findLast(isOwn);
  const step = dataset === undefined ? own : evaluationOf(run, dataset);
  if (step === undefined) throw new AppError('NOT_FOUND', { message: `Run "${name}" has no benchmark.` });
  const done = status.steps.find((known) => known.name === step.id);
  if (done?.state === 'completed' && done.artifact !== null) return { tool: step.tool, artifact: done.artifact };
  throw new AppError('NOT_FOUND', {
    message: `The step "${step.id}" of run "${name}" has made no report: it is ${done?.state ?? 'not there'}.`,
    hint: `"selvedge run show ${name}" shows how the run stands.`,
  });
}
