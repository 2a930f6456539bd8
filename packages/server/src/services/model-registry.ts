import { Readable } from 'node:stream';
import {
  AppError,
  type BenchmarkReport,
  benchmarkReportSchema,
  type ModelEvaluation,
  type ModelVersion,
  type PackageManifest,
  type Run,
  type TrainingReport,
  trainingReportSchema,
} from '@selvedge/contract';
import { SerialRunner } from '@selvedge/runtime';
import { evaluationBenchmark } from '../domain/evaluation-steps.ts';
import { type GraphStep, graphOfRun, makesArtifact, registeredSteps } from '../domain/step-graph.ts';
import type { BlobInfo, BlobStore } from '../ports/blob-store.ts';
import type { ResourceDraft, Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { versionName } from './dataset-service.ts';
import { draftOf } from './draft-of.ts';
import { readSmallJson } from './read-small-json.ts';

const MODEL_FILE = 'model.onnx';
const GOLDEN_FILE = 'golden.json';

export interface ModelRegistryOptions {
  store: Store;
  blobs: BlobStore;
  tools: ToolClient;
  /** Digest of a tool's code. */
  codeDigestOf: (tool: string) => string;
}

interface TrainedModel {
  model: BlobInfo;
  golden: BlobInfo | undefined;
  training: TrainingReport;
  benchmark: BenchmarkReport;
  evaluations: ModelEvaluation[];
}

export function modelVersionName(model: string, version: string): string {
  return `${model}.v${version}`;
}

/** Names, versions and aliases of models, and the files that devices fetch of them. */
export class ModelRegistry {
  readonly #options: ModelRegistryOptions;
  readonly #serial = new SerialRunner();

  constructor(options: ModelRegistryOptions) {
    this.#options = options;
  }

  /** A model with its versions, newest first. @throws AppError NOT_FOUND. */
  async detail(name: string) {
    const { store } = this.#options;
    const model = await store.get('Model', name);
    if (model === undefined) throw modelNotFound(name);
    const versions: ModelVersion[] = [];
    for (const version of model.status.versions.toReversed()) {
      const found = await store.get('ModelVersion', modelVersionName(name, version));
      if (found !== undefined) versions.push(found);
    }
    return { model, versions };
  }

  /** A version by its number or by an alias such as `latest`. @throws AppError NOT_FOUND. */
  async version(name: string, versionOrAlias: string): Promise<ModelVersion> {
    const { store } = this.#options;
    const model = await store.get('Model', name);
    if (model === undefined) throw modelNotFound(name);
    const aliases = new Map(Object.entries(model.status.aliases));
    const version = aliases.get(versionOrAlias) ?? versionOrAlias;
    const found = await store.get('ModelVersion', modelVersionName(name, version));
    if (found !== undefined) return found;
    throw new AppError('NOT_FOUND', {
      message: `Model "${name}" has no version "${versionOrAlias}".`,
      hint: `"selvedge model show ${name}" lists its versions.`,
    });
  }

  /**
   * Makes a version of what a run has trained. Once per run: asking again gives the same version.
   *
   * @throws AppError TOOL_UNAVAILABLE (wait), STEP_FAILED when a tool left something out, DISK_FULL.
   */
  registerRun(run: Run, signal: AbortSignal): Promise<ModelVersion> {
    return this.#serial.run(async () => {
      const existing = await this.#ofRun(run);
      const version = existing ?? (await this.#create(run, await this.#collect(run, signal)));
      await this.#recordVersion(version);
      return version;
    });
  }

  async #ofRun(run: Run): Promise<ModelVersion | undefined> {
    const name = run.spec.pipelineSpec.model.name;
    const model = await this.#options.store.get('Model', name);
    // One past the recorded ones: a crash may have come between writing the version and recording it.
    const numbers = [...(model?.status.versions ?? []), String(nextNumber(model?.status.versions ?? []))];
    for (const number of numbers.toReversed()) {
      const version = await this.#options.store.get('ModelVersion', modelVersionName(name, number));
      if (version?.spec.lineage?.run === run.metadata.name) return version;
    }
    return undefined;
  }

  async #collect(run: Run, signal: AbortSignal): Promise<TrainedModel> {
    const { tools } = this.#options;
    const steps = registeredSteps(run.spec.pipelineSpec);
    if (steps === undefined) throw new AppError('STEP_FAILED', { message: `Run "${run.metadata.name}" has no step to register.` });
    const open = (step: GraphStep, path: string) => tools.openFile(step.tool, artifactIn(run, step), path, signal);
    const { model, benchmark } = steps;
    const file = await open(model, MODEL_FILE);
    if (file === undefined) throw new AppError('STEP_FAILED', { message: `The ${model.tool} tool left no ${MODEL_FILE}.` });
    const golden = await open(benchmark, GOLDEN_FILE);
    return {
      model: await this.#options.blobs.put(file, { signal }),
      golden: golden === undefined ? undefined : await this.#options.blobs.put(golden, { signal }),
      training: await readSmallJson(await open(model, 'training.json'), trainingReportSchema, 'training.json'),
      benchmark: await readSmallJson(await open(benchmark, 'report.json'), benchmarkReportSchema, 'report.json'),
      evaluations: await this.#evaluationsOf(run, open),
    };
  }

  async #evaluationsOf(run: Run, open: (step: GraphStep, path: string) => Promise<Readable | undefined>): Promise<ModelEvaluation[]> {
    const graph = graphOfRun(run.spec);
    const found: ModelEvaluation[] = [];
    for (const [index, { dataset }] of (run.spec.evaluations ?? []).entries()) {
      const step = graph.find(({ id }) => id === evaluationBenchmark(index));
      if (step === undefined) continue; // of a sweep: its runs have measured
      const { samples, metrics } = await readSmallJson(await open(step, 'report.json'), benchmarkReportSchema, 'report.json');
      found.push({ dataset: { name: dataset.name, version: dataset.version, digest: dataset.digest }, samples, metrics });
    }
    return found;
  }

  async #create(run: Run, trained: TrainedModel): Promise<ModelVersion> {
    const { store, blobs } = this.#options;
    const name = run.spec.pipelineSpec.model.name;
    const labels = await this.#labelsOf(run);
    const model =
      (await store.get('Model', name)) ??
      (await store.create('Model', { name, labels: {}, annotations: {}, spec: {}, status: { aliases: {}, versions: [] } }));
    let number = nextNumber(model.status.versions);
    // A version may be there without being recorded: of another run, registered just before a crash.
    while ((await store.get('ModelVersion', modelVersionName(name, String(number)))) !== undefined) number += 1;
    const version = String(number);
    const manifest = manifestOf(run, version, labels, trained);
    const bundle = await blobs.put(Readable.from([Buffer.from(canonicalJson(manifest))]));
    return store.create('ModelVersion', this.#draft(run, version, labels, trained, bundle));
  }

  #draft(run: Run, version: string, labels: string[], trained: TrainedModel, bundle: BlobInfo): ResourceDraft<'ModelVersion'> {
    const { pipelineSpec, pipeline, pipelineGeneration, dataset, models } = run.spec;
    const { model, split, train, preproc, postproc } = pipelineSpec;
    const tools = this.#codeDigests(run);
    const trainedBy = trained.training.parameters.train ?? train;
    const parameters = { hyperparams: model.hyperparams, ...(split && { split }), ...(train && { train: trainedBy }) };
    return {
      name: modelVersionName(model.name, version),
      labels: {},
      annotations: {},
      spec: {
        model: model.name,
        version,
        format: 'onnx',
        file: trained.model,
        bundle,
        inputs: trained.training.inputs,
        outputs: trained.training.outputs,
        labels,
        preproc,
        postproc,
        metrics: { ...trained.training.metrics, ...trained.benchmark.metrics },
        lineage: {
          run: run.metadata.name,
          pipeline,
          pipelineGeneration,
          dataset: { name: dataset.name, version: dataset.version, digest: dataset.digest },
          parameters,
          tools,
          ...(models && { models }),
        },
        ...(trained.evaluations.length === 0 ? {} : { evaluations: trained.evaluations }),
      },
      status: { servedBy: 0 },
    };
  }

  /** As they were when each step was done; those of a run of before that was kept, as they are now. */
  #codeDigests({ spec, status }: Run): Record<string, string> {
    const digest = ({ id, tool }: GraphStep) =>
      status.steps.find((step) => step.name === id)?.codeDigest ?? this.#options.codeDigestOf(tool);
    return Object.fromEntries(graphOfRun(spec).flatMap((step) => (makesArtifact(step) ? [[step.tool, digest(step)]] : [])));
  }

  async #labelsOf(run: Run): Promise<string[]> {
    const { name, version } = run.spec.dataset;
    const found = await this.#options.store.get('DatasetVersion', versionName(name, version));
    if (found?.status.content != null) return found.status.content.labels;
    throw new AppError('REFERENCE_MISSING', { message: `Dataset version "${versionName(name, version)}" has been removed.` });
  }

  async #recordVersion({ spec }: ModelVersion): Promise<void> {
    await this.#options.store.update('Model', spec.model, (current) => {
      if (current.status.versions.includes(spec.version)) return undefined;
      const versions = [...current.status.versions, spec.version].sort((a, b) => Number(a) - Number(b));
      const latest = versions.at(-1) ?? spec.version;
      return draftOf(current, { status: { versions, aliases: { ...current.status.aliases, latest } } });
    });
  }
}

function artifactIn({ metadata, status }: Run, step: GraphStep): string {
  return status.steps.find((known) => known.name === step.id)?.artifact ?? `${metadata.name}.${step.id}`;
}

function nextNumber(versions: readonly string[]): number {
  return Math.max(0, ...versions.map(Number).filter(Number.isInteger)) + 1;
}

/** What a device gets: every file with its digest, and all that is needed to serve it. */
function manifestOf(run: Run, version: string, labels: string[], trained: TrainedModel): PackageManifest {
  const { model, preproc, postproc } = run.spec.pipelineSpec;
  const files = [{ path: MODEL_FILE, ...trained.model }];
  if (trained.golden !== undefined) files.push({ path: GOLDEN_FILE, ...trained.golden });
  return {
    formatVersion: 1,
    runtime: 'model-server',
    model: model.name,
    version,
    files,
    modelFile: MODEL_FILE,
    goldenFile: trained.golden === undefined ? null : GOLDEN_FILE,
    inputs: trained.training.inputs,
    outputs: trained.training.outputs,
    labels,
    preproc,
    postproc,
  };
}

function canonicalJson(manifest: PackageManifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

function modelNotFound(name: string): AppError {
  return new AppError('NOT_FOUND', { message: `There is no model "${name}".`, hint: '"selvedge model list" shows all models.' });
}
