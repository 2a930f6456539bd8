import type { DatasetVersion, Device, InferenceModel, ModelVersion, Run } from '@selvedge/contract';
import type { Tone } from './status.ts';

export interface Activity {
  readonly id: string;
  readonly at: string;
  readonly tone: Tone;
  readonly noun: 'dataset' | 'run' | 'model' | 'device' | 'deployment';
  readonly name: string;
  readonly text: string;
}

export interface ActivitySources {
  readonly datasetVersions: readonly DatasetVersion[];
  readonly runs: readonly Run[];
  readonly modelVersions: readonly ModelVersion[];
  readonly devices: readonly Device[];
  readonly deployments: readonly InferenceModel[];
}

/** What happened last, newest first, read from the times that the resources carry. */
export function recentActivity(sources: ActivitySources, limit: number): Activity[] {
  const all = [
    ...sources.runs.flatMap(ofRun),
    ...sources.datasetVersions.map(ofDatasetVersion),
    ...sources.modelVersions.map(ofModelVersion),
    ...sources.devices.flatMap(ofDevice),
    ...sources.deployments.flatMap(ofDeployment),
  ];
  return all.sort((a, b) => b.at.localeCompare(a.at) || a.id.localeCompare(b.id)).slice(0, limit);
}

function ofRun(run: Run): Activity[] {
  const { name } = run.metadata;
  const { phase, startedAt, finishedAt, message, modelVersion } = run.status;
  const list: Activity[] = [];
  if (startedAt !== null) {
    list.push({ id: `${name}/started`, at: startedAt, tone: 'busy', noun: 'run', name, text: `started from ${run.spec.pipeline}` });
  }
  if (finishedAt !== null) {
    const outcome = {
      Succeeded: { tone: 'ok', text: modelVersion === null ? 'succeeded' : `succeeded and made ${modelVersion}` },
      Failed: { tone: 'bad', text: message === '' ? 'failed' : `failed: ${message}` },
      Cancelled: { tone: 'idle', text: 'was cancelled' },
      Pending: { tone: 'idle', text: 'ended' },
      Running: { tone: 'idle', text: 'ended' },
    } as const;
    list.push({ id: `${name}/finished`, at: finishedAt, noun: 'run', name, ...outcome[phase] });
  }
  return list;
}

function ofDatasetVersion(version: DatasetVersion): Activity {
  const { phase, message } = version.status;
  const tone = phase === 'Ready' ? 'ok' : phase === 'Failed' ? 'bad' : 'busy';
  const text = phase === 'Ready' ? 'imported' : phase === 'Failed' ? `import failed: ${message}` : 'import began';
  const name = `${version.spec.dataset}, version ${version.spec.version}`;
  return { id: `dataset/${version.metadata.name}`, at: version.metadata.createdAt, tone, noun: 'dataset', name, text };
}

function ofModelVersion(version: ModelVersion): Activity {
  const name = `${version.spec.model}/${version.spec.version}`;
  return { id: `model/${name}`, at: version.metadata.createdAt, tone: 'ok', noun: 'model', name, text: 'registered' };
}

function ofDevice(device: Device): Activity[] {
  const { name } = device.metadata;
  const { joinedAt, workloads, conflict, online, lastSeenAt } = device.status;
  const list: Activity[] = [{ id: `${name}/joined`, at: joinedAt, tone: 'ok', noun: 'device', name, text: 'joined' }];
  for (const workload of workloads) {
    if (workload.error !== null) {
      const text = `${workload.name}: ${workload.error.message}`;
      list.push({ id: `${name}/${workload.name}/error`, at: workload.error.at, tone: 'bad', noun: 'device', name, text });
    }
    if (workload.servingSince !== null && workload.servingVersion !== null) {
      const text = `serves ${workload.model}/${workload.servingVersion}`;
      list.push({ id: `${name}/${workload.name}/serving`, at: workload.servingSince, tone: 'ok', noun: 'device', name, text });
    }
  }
  if (conflict !== null) {
    const text = 'two agents use this identity';
    list.push({ id: `${name}/conflict`, at: conflict.since, tone: 'bad', noun: 'device', name, text });
  }
  if (!online && lastSeenAt !== null) {
    list.push({ id: `${name}/offline`, at: lastSeenAt, tone: 'warn', noun: 'device', name, text: 'went offline' });
  }
  return list;
}

function ofDeployment(deployment: InferenceModel): Activity[] {
  const { name, createdAt } = deployment.metadata;
  const text = `deployed ${deployment.spec.modelName}/${deployment.spec.targetVersion ?? 'latest'}`;
  return [{ id: `deployment/${name}`, at: createdAt, tone: 'ok', noun: 'deployment', name, text }];
}
