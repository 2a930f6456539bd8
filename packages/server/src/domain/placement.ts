import type { DesiredWorkload, Device, GateResult, InferenceModel, Model, ModelVersion, Package } from '@selvedge/contract';
import { gateRefusal } from './gates.ts';
import { nativeReference } from './native-choice.ts';
import type { Release } from './rollout-release.ts';

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
  /** Packages of a version, in any phase. */
  packagesOf(model: string, version: string): readonly Package[];
  /** The gates of a version on these devices; undefined when its task has none. */
  gatesOf(version: ModelVersion, devices: readonly Device[]): GateReport | undefined;
  /** What each device is told now; used where a version cannot be resolved, so that a slip of the pen stops nothing. */
  current: ReadonlyMap<string, readonly DesiredWorkload[]>;
  /**
   * What the InferenceModel's rollout lets a device have: null for nothing. Undefined where there is no rollout, and the version that
   * is wanted goes everywhere.
   */
  releaseOf?(inferenceModel: string, device: string): Release | null | undefined;
}

/** How a version does by the constraints of its task. */
export interface GateReport {
  results: GateResult[];
  /** Lines that look like a gate and cannot be checked. */
  issues: string[];
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
  /** Of the version that is wanted; undefined when its task has none. */
  gates: GateReport | undefined;
  /** Selected devices that may not have the wanted version now. */
  withheld: Set<string>;
}

/** What an InferenceModel asks for, before anything is placed. */
export interface Target {
  devices: Device[];
  resolved: ModelVersion | Refusal;
  gates: GateReport | undefined;
  /** It cannot be served by devices at all, and what was there is taken away. */
  isUnsupported: boolean;
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

/** What every InferenceModel asks for, by name. */
export function resolveTargets(input: PlacementInput): Map<string, Target> {
  return new Map(input.inferenceModels.map((model) => [model.metadata.name, resolveTarget(model, input)]));
}

function resolveTarget(model: InferenceModel, input: PlacementInput): Target {
  const unsupported = findUnsupported(model);
  if (unsupported !== null) return { devices: [], resolved: unsupported, gates: undefined, isUnsupported: true };
  const devices = selectDevices(model, input.devices);
  const found = resolveVersion(model, input);
  const gates = 'reason' in found ? undefined : input.gatesOf(found, devices);
  const resolved = 'reason' in found ? found : (refusalOf(found, gates, devices) ?? found);
  return { devices, resolved, gates, isUnsupported: false };
}

/**
 * Decides what every device is to run. Who came first keeps a contested port: InferenceModels are taken in the order of
 * their creation, then by name.
 */
export function planPlacement(input: PlacementInput, targets: ReadonlyMap<string, Target> = resolveTargets(input)): Placement {
  const workloads = new Map<string, DesiredWorkload[]>(input.devices.map((device) => [device.metadata.name, []]));
  const outcomes = new Map<string, PlacementOutcome>();
  const ordered = [...input.inferenceModels].sort(
    (a, b) => Date.parse(a.metadata.createdAt) - Date.parse(b.metadata.createdAt) || byName(a.metadata, b.metadata),
  );
  for (const inferenceModel of ordered) {
    const { name } = inferenceModel.metadata;
    const target = targets.get(name) ?? resolveTarget(inferenceModel, input);
    outcomes.set(name, placeOne(inferenceModel, target, input, workloads));
  }
  for (const list of workloads.values()) list.sort(byName);
  return { workloads, outcomes };
}

function placeOne(
  model: InferenceModel,
  target: Target,
  input: PlacementInput,
  workloads: Map<string, DesiredWorkload[]>,
): PlacementOutcome {
  const { devices, resolved, gates } = target;
  const rejected = new Map<string, Refusal>();
  const withheld = new Set<string>();
  for (const device of devices) {
    const deviceName = device.metadata.name;
    const placed = workloads.get(deviceName) ?? [];
    const release = input.releaseOf?.(model.metadata.name, deviceName);
    if (release === null || release?.isNew === false) withheld.add(deviceName);
    const wanted = wantedWorkload(model, resolved, device, release, input);
    if (wanted === undefined) continue;
    const obstacle = findObstacle(wanted, placed, deviceName);
    if (obstacle === null) placed.push(wanted);
    else rejected.set(deviceName, obstacle);
  }
  const selected = devices.map((device) => device.metadata.name);
  const isRefused = 'reason' in resolved;
  const resolvedVersion = isRefused ? '' : resolved.spec.version;
  return { refusal: isRefused ? resolved : null, resolvedVersion, selected, rejected, gates, withheld };
}

function wantedWorkload(
  model: InferenceModel,
  resolved: ModelVersion | Refusal,
  device: Device,
  release: Release | null | undefined,
  input: PlacementInput,
): DesiredWorkload | undefined {
  const { name } = model.metadata;
  const told = input.current.get(device.metadata.name)?.find((workload) => workload.name === name);
  if (release === null) return undefined;
  if (release === undefined || (release.isNew && 'reason' in resolved)) {
    if ('reason' in resolved) return told?.model === model.spec.modelName ? told : undefined;
    const { modelName, servingPort = 0 } = model.spec;
    return desiredWorkload(model, resolved, device, { model: modelName, version: resolved.spec.version, servingPort, isNew: true }, input);
  }
  const version = input.findVersion(release.model, release.version);
  // a version that has left the registry stays where it is
  if (version === undefined) return told?.model === release.model && told.version === release.version ? told : undefined;
  return desiredWorkload(model, version, device, release, input);
}

/** Without a device there is nothing to refuse, and that there is none is what must be told. */
function refusalOf({ spec }: ModelVersion, gates: GateReport | undefined, devices: readonly Device[]): Refusal | null {
  return gates === undefined || devices.length === 0 ? null : gateRefusal(gates.results, `${spec.model}:${spec.version}`);
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

/** The devices that match, sorted by name, as many as `replicas` allows. */
export function selectDevices({ spec }: InferenceModel, devices: readonly Device[]): Device[] {
  const selector = Object.entries(spec.nodeSelector ?? {});
  const nodeName = spec.nodeName ?? '';
  return devices
    .filter((device) => nodeName === '' || device.metadata.name === nodeName)
    .filter((device) => selector.every(([key, value]) => matchesLabel(device, key, value)))
    .sort((a, b) => byName(a.metadata, b.metadata))
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

function desiredWorkload(
  inferenceModel: InferenceModel,
  { spec }: ModelVersion,
  device: Device,
  release: Release,
  input: PlacementInput,
): DesiredWorkload {
  const { model, version, servingPort, trial, windows, deferOnMetered } = release;
  const native = nativeReference(inferenceModel, input.packagesOf(model, version), device);
  return {
    name: inferenceModel.metadata.name,
    kind: 'model-server',
    model,
    version,
    manifest: { sha256: spec.bundle.sha256, sizeBytes: spec.bundle.sizeBytes },
    ...(native === undefined ? {} : { native }),
    servingPort,
    ...(trial === undefined ? {} : { trial }),
    ...(windows === undefined ? {} : { windows }),
    ...(deferOnMetered === undefined ? {} : { deferOnMetered }),
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
