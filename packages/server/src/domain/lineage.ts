import {
  type DatasetImpact,
  type Device,
  type InferenceModel,
  type Model,
  type ModelLineage,
  type ModelVersion,
  NOTE_ANNOTATION,
  type Package,
  type RecallSource,
  type RecallView,
  type Run,
} from '@selvedge/contract';

export interface LineageFacts {
  readonly version: ModelVersion;
  readonly model: Model;
  readonly run: Run | undefined;
  readonly datasetRemoved: boolean;
  readonly packages: readonly Package[];
  readonly inferenceModels: readonly InferenceModel[];
}

type Serving = ModelLineage['devices'][number];

/** Devices that have reported that they serve a version. */
function servingOf(inferenceModels: readonly InferenceModel[], { model, version }: ModelVersion['spec']): Serving[] {
  return inferenceModels
    .filter(({ spec }) => spec.modelName === model)
    .flatMap(({ metadata, status }) =>
      status.devices
        .filter(({ servingVersion }) => servingVersion === version)
        .map(({ device, state, runtime }) => ({ deployment: metadata.name, device, state, runtime: runtime ?? null })),
    );
}

function causeOf(run: Run | undefined): string | null {
  if (run === undefined) return null;
  const { type, by, trigger, detail } = run.spec.cause;
  return [type, trigger ?? by, detail].filter((part) => part !== undefined).join(' ');
}

function originOf({ version, run, datasetRemoved }: LineageFacts): ModelLineage['origin'] {
  const { lineage } = version.spec;
  if (lineage === null) return null;
  return {
    ...lineage,
    startedAt: run?.status.startedAt ?? null,
    cause: causeOf(run),
    task: run?.spec.pipelineSpec.task ?? null,
    dataset: { ...lineage.dataset, removed: datasetRemoved },
    evaluations: (version.spec.evaluations ?? []).map(({ dataset, samples, metrics }) => ({ ...dataset, samples, metrics })),
  };
}

/** From a version back to the data and forward to the devices. */
export function modelLineage(facts: LineageFacts): ModelLineage {
  const { version, model, packages, inferenceModels } = facts;
  const { spec, metadata } = version;
  return {
    model: spec.model,
    version: spec.version,
    file: spec.file,
    createdAt: metadata.createdAt,
    aliases: Object.entries(model.status.aliases).flatMap(([alias, of]) => (of === spec.version ? [alias] : [])),
    note: metadata.annotations[NOTE_ANNOTATION] ?? null,
    metrics: spec.metrics,
    origin: originOf(facts),
    packages: packages
      .filter((one) => one.spec.model === spec.model && one.spec.version === spec.version)
      .map((one) => ({
        name: one.metadata.name,
        target: one.spec.target,
        phase: one.status.phase,
        archiveSha256: one.status.archive?.sha256 ?? null,
      })),
    deployments: inferenceModels
      .filter((one) => one.spec.modelName === spec.model && one.status.resolvedVersion === spec.version)
      .map((one) => one.metadata.name),
    devices: servingOf(inferenceModels, spec),
  };
}

/** What depends on a dataset, or on one version of it: from the data forward to the devices. */
export function datasetImpact(
  dataset: string,
  version: number | undefined,
  facts: { runs: readonly Run[]; versions: readonly ModelVersion[]; inferenceModels: readonly InferenceModel[] },
): DatasetImpact {
  const isOf = (of: { name: string; version: number } | undefined) =>
    of !== undefined && of.name === dataset && (version === undefined || of.version === version);
  const made = facts.versions.filter(({ spec }) => isOf(spec.lineage?.dataset));
  return {
    dataset,
    version: version ?? null,
    runs: facts.runs
      .filter(({ spec }) => isOf(spec.dataset) || spec.evaluations?.some((one) => isOf(one.dataset)) === true)
      .map(({ metadata }) => metadata.name),
    evaluated: facts.versions.flatMap(({ spec }) =>
      (spec.evaluations ?? []).flatMap(({ dataset: on }) =>
        isOf(on) ? [{ model: spec.model, version: spec.version, datasetVersion: on.version, run: spec.lineage?.run ?? '' }] : [],
      ),
    ),
    models: made.map(({ spec }) => ({
      model: spec.model,
      version: spec.version,
      datasetVersion: spec.lineage?.dataset.version ?? 0,
      run: spec.lineage?.run ?? '',
    })),
    devices: made.flatMap(({ spec }) =>
      servingOf(facts.inferenceModels, spec).map((serving) => ({
        ...serving,
        model: spec.model,
        version: spec.version,
        datasetVersion: spec.lineage?.dataset.version ?? 0,
      })),
    ),
  };
}

/** Versions, InferenceModels and devices that a dataset, a run or a version went into, also by way of other versions. */
export function recallView(
  source: RecallSource,
  facts: { versions: readonly ModelVersion[]; inferenceModels: readonly InferenceModel[]; devices: readonly Device[] },
): RecallView {
  const affected = madeFrom(source, facts.versions);
  const online = new Map(facts.devices.map(({ metadata, status }) => [metadata.name, status.online]));
  const devices = affected.flatMap(({ spec }) =>
    servingOf(facts.inferenceModels, spec).map(({ deployment, device, state }) => ({
      device,
      online: online.get(device) ?? false,
      deployment,
      state,
      model: spec.model,
      version: spec.version,
    })),
  );
  const isWanted = ({ spec, status }: InferenceModel) =>
    affected.some((one) => one.spec.model === spec.modelName && one.spec.version === status.resolvedVersion);
  const deployments = facts.inferenceModels
    .filter((one) => isWanted(one) || devices.some(({ deployment }) => deployment === one.metadata.name))
    .map(({ metadata, spec, status }) => ({ name: metadata.name, model: spec.modelName, wanted: status.resolvedVersion }));
  return { versions: affected.map(({ spec }) => ({ model: spec.model, version: spec.version })), deployments, devices };
}

function madeFrom({ dataset, datasetVersion, model, modelVersion, run }: RecallSource, versions: readonly ModelVersion[]): ModelVersion[] {
  const isDirect = ({ spec }: ModelVersion) => {
    const { lineage } = spec;
    if (model !== undefined) return spec.model === model && spec.version === modelVersion;
    if (run !== undefined) return lineage?.run === run;
    return lineage?.dataset.name === dataset && (datasetVersion === undefined || lineage?.dataset.version === datasetVersion);
  };
  const found = new Map(versions.filter(isDirect).map((one) => [`${one.spec.model}:${one.spec.version}`, one]));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const one of versions) {
      const parents = Object.keys(one.spec.lineage?.models ?? {});
      if (parents.some((parent) => found.has(parent))) found.set(`${one.spec.model}:${one.spec.version}`, one);
    }
  }
  return [...found.values()];
}
