import type {
  ArtifactState,
  DatasetVersion,
  Device,
  InferenceModel,
  Module,
  Package,
  RolloutDevice,
  RolloutPhase,
  RolloutWave,
  RunPhase,
  RunStep,
  TrialCheck,
  WorkloadState,
} from '@selvedge/contract';

/** How something is, in the five tones the page has. The text always goes with the colour. */
export type Tone = 'ok' | 'busy' | 'warn' | 'bad' | 'idle';
export interface Status {
  readonly tone: Tone;
  readonly text: string;
}

export function runStatus(phase: RunPhase): Status {
  const tones = { Pending: 'idle', Running: 'busy', Succeeded: 'ok', Failed: 'bad', Cancelled: 'idle' } as const;
  return { tone: tones[phase], text: phase };
}

export function stepStatus(state: RunStep['state']): Status {
  const tones = { pending: 'idle', running: 'busy', completed: 'ok', failed: 'bad', cancelled: 'idle', skipped: 'idle' } as const;
  return { tone: tones[state], text: capital(state) };
}

export function datasetStatus(phase: DatasetVersion['status']['phase']): Status {
  const tones = { Importing: 'busy', Ready: 'ok', Failed: 'bad', Removing: 'idle' } as const;
  return { tone: tones[phase], text: phase };
}

export function packageStatus(phase: Package['status']['phase']): Status {
  const tones = { Pending: 'idle', Building: 'busy', Ready: 'ok', Failed: 'bad' } as const;
  return { tone: tones[phase], text: phase };
}

export function moduleStatus(state: Module['state']): Status {
  const tones = { starting: 'busy', healthy: 'ok', unhealthy: 'bad', restarting: 'warn', stopped: 'idle' } as const;
  return { tone: tones[state], text: capital(state) };
}

export function artifactStatus(state: ArtifactState): Status {
  const tones = { queued: 'idle', 'in-progress': 'busy', completed: 'ok', failed: 'bad', cancelled: 'idle' } as const;
  return { tone: tones[state], text: state === 'in-progress' ? 'In progress' : capital(state) };
}

export function workloadStatus(state: WorkloadState): Status {
  if (state === 'serving') return { tone: 'ok', text: 'Serving' };
  if (state === 'failed') return { tone: 'bad', text: 'Failed' };
  if (state === 'pending' || state === 'stopping') return { tone: 'idle', text: capital(state) };
  return { tone: 'busy', text: capital(state) };
}

/** A device is as good as its worst part: a copied identity or a failed workload matters more than being online. */
export function deviceStatus(device: Device): Status {
  const { conflict, online, workloads } = device.status;
  if (conflict !== null) return { tone: 'bad', text: 'Conflict' };
  if (!online) return { tone: 'idle', text: 'Offline' };
  if (workloads.some((w) => w.error !== null || w.state === 'failed')) return { tone: 'warn', text: 'Trouble' };
  if (workloads.some((w) => w.state !== 'serving' && w.state !== 'stopping')) return { tone: 'busy', text: 'Updating' };
  return { tone: 'ok', text: 'Online' };
}

/** Where a deployment stands, from what its devices report. */
export function deploymentStatus(model: InferenceModel): Status {
  const { devices, resolvedVersion, conditions } = model.status;
  const gates = conditions.find(({ type }) => type === 'GatesPassed');
  if (gates?.status === 'False' && devices.length > 0) return { tone: 'bad', text: 'Held back' };
  if (devices.length === 0) return { tone: 'warn', text: 'No device' };
  if (devices.some((d) => d.state === 'failed')) return { tone: 'bad', text: 'Failing' };
  const done = devices.filter((d) => d.state === 'serving' && d.servingVersion === resolvedVersion).length;
  if (done === devices.length) return { tone: 'ok', text: 'Serving' };
  return { tone: 'busy', text: `${done} of ${devices.length}` };
}

export function onlineStatus(online: boolean): Status {
  return online ? { tone: 'ok', text: 'Online' } : { tone: 'idle', text: 'Offline' };
}

export function rolloutStatus(phase: RolloutPhase): Status {
  const tones = {
    running: 'busy',
    paused: 'warn',
    waiting: 'warn',
    reverting: 'bad',
    succeeded: 'ok',
    failed: 'bad',
    aborted: 'idle',
    superseded: 'idle',
  } as const;
  return { tone: tones[phase], text: phase === 'waiting' ? 'Waits for you' : capital(phase) };
}

export function rolloutWaveStatus(state: RolloutWave['state']): Status {
  const tones = { waiting: 'idle', running: 'busy', soaking: 'busy', passed: 'ok', failed: 'bad' } as const;
  return { tone: tones[state], text: capital(state) };
}

export function rolloutDeviceStatus(state: RolloutDevice['state']): Status {
  const tones = {
    waiting: 'idle',
    updating: 'busy',
    'on-trial': 'busy',
    passed: 'ok',
    failed: 'bad',
    reverting: 'warn',
    reverted: 'warn',
    'catching-up': 'idle',
  } as const;
  return { tone: tones[state], text: capital(state.replace('-', ' ')) };
}

export function checkStatus({ passed }: TrialCheck): Status {
  if (passed === null) return { tone: 'idle', text: 'Not measured' };
  return passed ? { tone: 'ok', text: 'Passed' } : { tone: 'bad', text: 'Failed' };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
