import type { DesiredWorkload, TrialReport, WorkloadReport } from '@selvedge/contract';

/** What a simulated device knows of one workload. */
export interface SimulatedWorkload {
  readonly desired: DesiredWorkload;
  readonly servingVersion: string | null;
  readonly previousVersion: string | null;
  readonly state: WorkloadReport['state'];
  readonly error: WorkloadReport['error'];
  readonly trial: TrialReport | null;
  readonly servingSinceIso: string | null;
  readonly progress: WorkloadReport['progress'];
}

export function newWorkload(desired: DesiredWorkload): SimulatedWorkload {
  return {
    desired,
    servingVersion: null,
    previousVersion: null,
    state: 'pending',
    error: null,
    trial: null,
    servingSinceIso: null,
    progress: null,
  };
}

/** A new order: an older version goes on serving until the new one can. */
export function withDesired(workload: SimulatedWorkload, desired: DesiredWorkload): SimulatedWorkload {
  const isServed = workload.servingVersion === desired.version;
  return { ...workload, desired, state: isServed ? 'serving' : 'pending', error: null };
}

export function switched(workload: SimulatedWorkload, nowIso: string): SimulatedWorkload {
  const { trial, version } = workload.desired;
  const running: TrialReport | null =
    trial === undefined
      ? null
      : {
          id: trial.id,
          version,
          state: 'running',
          startedAt: nowIso,
          finishedAt: null,
          checks: [],
          arms: [],
          failure: null,
          revertedInMs: null,
        };
  return {
    ...workload,
    previousVersion: workload.servingVersion,
    servingVersion: version,
    state: 'serving',
    error: null,
    progress: null,
    trial: running,
    servingSinceIso: nowIso,
  };
}

/** It does not start: what served goes on. */
export function failed(workload: SimulatedWorkload, nowIso: string, message: string): SimulatedWorkload {
  return { ...workload, state: 'failed', progress: null, error: { code: 'WORKLOAD_FAILED', message, at: nowIso } };
}

/** The verdict of its trial; a failed one goes back to the version of before. */
export function judged(workload: SimulatedWorkload, passes: boolean, nowIso: string): SimulatedWorkload {
  const { trial } = workload;
  if (trial === null || trial.state !== 'running') return workload;
  const bar = workload.desired.trial?.gates.errorRate ?? 0.01;
  const value = passes ? bar / 10 : Math.min(1, bar + 0.2);
  const check = { gate: 'errorRate', value, baseline: null, bar, passed: passes, samples: 100 };
  const verdict: TrialReport = {
    ...trial,
    state: passes ? 'passed' : 'failed',
    finishedAt: nowIso,
    checks: [check],
    failure: passes ? null : { code: 'WORKLOAD_FAILED', message: `errorRate is ${value}, its bar is ${bar} (simulated).` },
    revertedInMs: passes ? null : 5,
  };
  if (passes) return { ...workload, trial: verdict };
  return {
    ...workload,
    trial: verdict,
    servingVersion: workload.previousVersion,
    state: 'failed',
    error: { code: 'WORKLOAD_FAILED', message: verdict.failure?.message ?? '', at: nowIso },
  };
}

export function reportOf(workload: SimulatedWorkload): WorkloadReport {
  const { desired, servingVersion, previousVersion, state, progress, error, servingSinceIso, trial } = workload;
  return {
    name: desired.name,
    model: desired.model,
    desiredVersion: desired.version,
    servingVersion,
    previousVersion,
    state,
    port: servingVersion === null ? null : desired.servingPort || 18_080,
    progress,
    error,
    restarts: 0,
    servingSince: servingVersion === null ? null : servingSinceIso,
    runtime: 'model-server',
    nativeError: null,
    trial,
  };
}
