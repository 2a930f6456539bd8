import type { DesiredWorkload, Device, InferenceModel, Model, ModelVersion } from '@selvedge/contract';

/** Why something that is wanted is not done; `reason` is CamelCase, for conditions. */
interface Refusal {
  reason: string;
  message: string;
}

export interface PlacementInput {
  inferenceModels: readonly InferenceModel[];
  devices: readonly Device[];
  findModel(name: string): Model | undefined;
  findVersion(model: string, version: string): ModelVersion | undefined;
  /** What each device is told now; used where a version cannot be resolved, so that a slip of the pen stops nothing. */
  current: ReadonlyMap<string, readonly DesiredWorkload[]>;
}

export interface PlacementOutcome {
  /** Set when it is placed nowhere. */
  refusal: Refusal | null;
  /** What targetVersion resolved to; empty when it did not. */
  resolvedVersion: string;
  /** Names of the selected devices, sorted. */
  selected: string[];
  /** Selected devices on which there is no room for it. */
  rejected: Map<string, Refusal>;
}

export interface Placement {
  /** For every device, sorted by workload name. */
  workloads: Map<string, DesiredWorkload[]>;
  /** For every InferenceModel by name. */
  outcomes: Map<string, PlacementOutcome>;
}

const HOSTNAME_LABEL = 'kubernetes.io/hostname';
/** As many as a desired state may hold. */
const MAX_WORKLOADS = 100;

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/**
 * Decides what every device is to run. Who came first keeps a contested port: InferenceModels are taken in the order of
 * their creation, then by name.
 */
export function planPlacement(input: PlacementInput): Placement {
  const workloads = new Map<string, DesiredWorkload[]>(input.devices.map((device) => [device.metadata.name, []]));
  const outcomes = new Map<string, PlacementOutcome>();
  const ordered = [...input.inferenceModels].sort(
    (a, b) => Date.parse(a.metadata.createdAt) - Date.parse(b.metadata.createdAt) || byName(a.metadata, b.metadata),
  );
  for (const inferenceModel of ordered) {
    const outcome = placeOne(inferenceModel, input, workloads);
    outcomes.set(inferenceModel.metadata.name, outcome);
  }
  for (const list of workloads.values()) list.sort(byName);
  return { workloads, outcomes };
}

function placeOne(model: InferenceModel, input: PlacementInput, workloads: Map<string, DesiredWorkload[]>): PlacementOutcome {
  const { name } = model.metadata;
  const unsupported = findUnsupported(model);
  if (unsupported !== null) return { refusal: unsupported, resolvedVersion: '', selected: [], rejected: new Map() };
  const selected = selectDevices(model, input.devices);
  const resolved = resolveVersion(model, input);
  const rejected = new Map<string, Refusal>();
  for (const device of selected) {
    const placed = workloads.get(device) ?? [];
    const wanted =
      'reason' in resolved
        ? input.current.get(device)?.find((workload) => workload.name === name && workload.model === model.spec.modelName)
        : desiredWorkload(model, resolved);
    if (wanted === undefined) continue;
    const obstacle = findObstacle(wanted, placed, device);
    if (obstacle === null) placed.push(wanted);
    else rejected.set(device, obstacle);
  }
  if ('reason' in resolved) return { refusal: resolved, resolvedVersion: '', selected, rejected };
  return { refusal: null, resolvedVersion: resolved.spec.version, selected, rejected };
}

/** What a spec asks for that a fleet without Kubernetes cannot do. */
function findUnsupported({ spec }: InferenceModel): Refusal | null {
  const { image, manifest, deployToLayer, frameworkType } = spec;
  if (image !== undefined && image !== '')
    return {
      reason: 'ImageNeedsKubernetes',
      message: `image "${image}" can only run on Kubernetes; leave image empty to serve from the registry.`,
    };
  if (deployToLayer === 'cloud')
    return { reason: 'LayerNeedsKubernetes', message: 'deployToLayer "cloud" needs Kubernetes; use "edge" to serve on devices.' };
  if (manifest !== undefined && manifest.length > 0)
    return { reason: 'ManifestUnsupported', message: 'manifest is not supported on devices; register the model and name it in modelName.' };
  if (frameworkType.toLowerCase() !== 'onnx')
    return { reason: 'FrameworkUnsupported', message: `frameworkType "${frameworkType}" is not supported on devices; use "onnx".` };
  return null;
}

/** Names of the devices that match, sorted, as many as `replicas` allows. */
export function selectDevices({ spec }: InferenceModel, devices: readonly Device[]): string[] {
  const selector = Object.entries(spec.nodeSelector ?? {});
  const nodeName = spec.nodeName ?? '';
  return devices
    .filter((device) => nodeName === '' || device.metadata.name === nodeName)
    .filter((device) => selector.every(([key, value]) => matchesLabel(device, key, value)))
    .map((device) => device.metadata.name)
    .sort((a, b) => (a < b ? -1 : 1))
    .slice(0, spec.replicas ?? Number.POSITIVE_INFINITY);
}

function matchesLabel(device: Device, key: string, value: string): boolean {
  if (device.metadata.labels[key] === value) return true;
  return key === HOSTNAME_LABEL && (device.metadata.name === value || device.status.info?.hostname === value);
}

function resolveVersion({ spec }: InferenceModel, input: PlacementInput): ModelVersion | Refusal {
  const target = spec.targetVersion === undefined || spec.targetVersion === '' ? 'latest' : spec.targetVersion;
  const model = input.findModel(spec.modelName);
  const aliases = new Map(Object.entries(model?.status.aliases ?? {}));
  const found = input.findVersion(spec.modelName, aliases.get(target) ?? target);
  if (found !== undefined) return found;
  if (model === undefined) return { reason: 'ModelNotFound', message: `There is no model "${spec.modelName}" in the registry.` };
  const known = [...model.status.versions, ...aliases.keys()].slice(-20).join(', ');
  return {
    reason: 'VersionNotFound',
    message: `Model "${spec.modelName}" has no version or alias "${target}"; it has ${known === '' ? 'none yet' : known}.`,
  };
}

function desiredWorkload({ metadata, spec }: InferenceModel, version: ModelVersion): DesiredWorkload {
  return {
    name: metadata.name,
    kind: 'model-server',
    model: spec.modelName,
    version: version.spec.version,
    manifest: { sha256: version.spec.bundle.sha256, sizeBytes: version.spec.bundle.sizeBytes },
    servingPort: spec.servingPort ?? 0,
  };
}

function findObstacle(wanted: DesiredWorkload, placed: readonly DesiredWorkload[], device: string): Refusal | null {
  const rival = wanted.servingPort === 0 ? undefined : placed.find((other) => other.servingPort === wanted.servingPort);
  if (rival !== undefined)
    return {
      reason: 'ServingPortTaken',
      message: `Port ${wanted.servingPort} of device "${device}" belongs to InferenceModel "${rival.name}".`,
    };
  if (placed.length >= MAX_WORKLOADS)
    return { reason: 'DeviceFull', message: `Device "${device}" has ${MAX_WORKLOADS} workloads already.` };
  return null;
}
