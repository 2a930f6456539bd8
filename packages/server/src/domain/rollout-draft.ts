import type { DesiredWorkload, Device, InferenceModel, Rollout, RolloutDevice, RolloutStatus } from '@selvedge/contract';
import { newRolloutDevice } from './rollout-plan.ts';
import { hasTrial, settlePolicy } from './rollout-policy.ts';
import { fromSide, isOn, sameSide, toSide } from './rollout-release.ts';
import { newWaves, orderDevices, waveSizes } from './rollout-waves.ts';

/** Annotation of an InferenceModel with the number of the generation that goes to all devices at once, whatever its policy says. */
export const EMERGENCY_ANNOTATION = 'selvedge.dev/emergency';

export interface DraftInput {
  model: InferenceModel;
  /** What targetVersion resolved to. */
  version: string;
  /** Selected devices. */
  devices: readonly Device[];
  /** The newest rollout of the InferenceModel. */
  latest: Rollout | undefined;
  /** What devices are told now; matters where there is no rollout yet. */
  current: ReadonlyMap<string, readonly DesiredWorkload[]>;
  nowIso: string;
}

export interface RolloutDraft {
  spec: Rollout['spec'];
  status: RolloutStatus;
}

/** Whether what an InferenceModel asks for is what its newest rollout is about. */
export function isAbout({ spec }: Rollout, model: InferenceModel, version: string): boolean {
  if (isEmergency(model) && hasTrial(spec.policy)) return false; // a recall does not wait for waves that are under way
  return spec.generation === model.metadata.generation && spec.model === model.spec.modelName && spec.toVersion === version;
}

function isEmergency({ metadata }: InferenceModel): boolean {
  return metadata.annotations[EMERGENCY_ANNOTATION] === String(metadata.generation);
}

/** A rollout that has not begun. */
export function draftRollout(input: DraftInput): RolloutDraft {
  const { model, version, devices, latest, nowIso } = input;
  const before = new Map(devices.map((device) => [device.metadata.name, versionBefore(device.metadata.name, input)]));
  const fromVersion = mostCommon([...before.values()]) ?? (latest === undefined ? '' : standing(latest));
  const policy = settlePolicy(isEmergency(model) ? undefined : model.spec.rollout);
  const servingPort = model.spec.servingPort ?? 0;
  const from = configBefore(input);
  const spec: Rollout['spec'] = {
    inferenceModel: model.metadata.name,
    generation: model.metadata.generation,
    model: model.spec.modelName,
    fromVersion,
    toVersion: version,
    servingPort,
    ...(from.model === model.spec.modelName && from.servingPort === servingPort ? {} : { from }),
    policy,
    cause: causeOf(input),
  };
  const ordered = orderDevices(devices, policy.order);
  const sizes = waveSizes(policy, ordered.length);
  const waveOf = sizes.flatMap((size, index) => new Array<number>(size).fill(index));
  const entries = ordered.map((device, index): RolloutDevice => {
    const { name } = device.metadata;
    const own = before.get(name) ?? (fromVersion === '' || fromVersion === version ? null : fromVersion);
    const entry = newRolloutDevice(name, waveOf[index] ?? 0, own);
    const to = toSide({ spec });
    const report = device.status.workloads.find((workload) => workload.name === model.metadata.name);
    const isThere = sameSide(to, fromSide({ spec }, own)) && isOn(report, to);
    return isThere ? { ...entry, state: 'passed', finishedAt: nowIso, message: 'Served it before.' } : entry;
  });
  return {
    spec,
    status: {
      phase: 'running',
      attempt: 1,
      wave: 0,
      waves: newWaves(sizes),
      devices: entries,
      message: '',
      startedAt: nowIso,
      finishedAt: null,
      golden: null,
    },
  };
}

/** The version that a device is known to be well with; null: none. */
function versionBefore(device: string, { model, latest, current }: DraftInput): string | null {
  if (latest === undefined) {
    const told = current.get(device)?.find((workload) => workload.name === model.metadata.name && workload.model === model.spec.modelName);
    return told?.version ?? null;
  }
  const entry = latest.status.devices.find((one) => one.device === device);
  if (entry?.state === 'passed') return latest.spec.toVersion;
  if (entry !== undefined) return entry.fromVersion;
  const held = standing(latest);
  return held === '' || !current.get(device)?.some((workload) => workload.name === model.metadata.name) ? null : held;
}

/** What devices have that a rollout does not name. */
function standing({ spec, status }: Rollout): string {
  const isThere = status.phase === 'succeeded' || (!hasTrial(spec.policy) && status.phase !== 'aborted');
  return isThere ? spec.toVersion : spec.fromVersion;
}

function configBefore({ model, latest, current }: DraftInput): { model: string; servingPort: number } {
  const { name } = model.metadata;
  if (latest !== undefined) {
    const { spec, status } = latest;
    const own = { model: spec.model, servingPort: spec.servingPort ?? 0 };
    return status.phase === 'succeeded' || !hasTrial(spec.policy) ? own : (spec.from ?? own);
  }
  for (const workloads of current.values()) {
    const told = workloads.find((workload) => workload.name === name && workload.model === model.spec.modelName);
    if (told !== undefined) return { model: told.model, servingPort: told.servingPort };
  }
  return { model: model.spec.modelName, servingPort: model.spec.servingPort ?? 0 };
}

function causeOf({ model, version, latest }: DraftInput): string {
  const { generation } = model.metadata;
  if (isEmergency(model)) return `recall (generation ${generation})`;
  if (latest === undefined)
    return generation === 1 ? 'the InferenceModel was made' : `the InferenceModel as it was found (generation ${generation})`;
  if (latest.spec.generation === generation) return `"${model.spec.targetVersion ?? 'latest'}" came to be version ${version}`;
  return `an edit of the InferenceModel (generation ${generation})`;
}

function mostCommon(versions: readonly (string | null)[]): string | undefined {
  const counts = new Map<string, number>();
  for (const version of versions) if (version !== null) counts.set(version, (counts.get(version) ?? 0) + 1);
  const [most] = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return most?.[0];
}
