import type { DesiredWorkload, Held, TransferCounts, TrialReport, WorkloadReport } from '@selvedge/contract';
import type { VersionRecord } from '../domain/agent-state.ts';
import type { Step, StepKind, WorkloadState } from '../domain/workload-state.ts';

export interface StepProgress {
  step: Step;
  progress: { doneBytes: number; totalBytes: number } | null;
}

/** Why a version cannot be served; `key` is its folder's name. */
export interface WorkloadFault {
  key: string;
  code: string;
  message: string;
  at: string;
}

export interface ReportInput {
  name: string;
  desired: DesiredWorkload | null;
  desiredKey: string | null;
  records: ReadonlyMap<string, VersionRecord>;
  state: WorkloadState;
  port: number | null;
  current: StepProgress | null;
  fault: WorkloadFault | null;
  restarts: number;
  servingSinceMs: number | null;
  nativeError: WorkloadReport['nativeError'];
  trial: TrialReport | null;
  held: Held | null;
  transfer: TransferCounts | undefined;
}

const STATE_OF_STEP: Partial<Record<StepKind, WorkloadReport['state']>> = {
  fetch: 'fetching',
  verify: 'verifying',
  start: 'starting',
  probe: 'probing',
  test: 'probing',
  mirror: 'probing',
  switch: 'probing',
};

function stateOf(input: ReportInput): WorkloadReport['state'] {
  const { desired, desiredKey, state, current, fault } = input;
  if (desired === null) return 'stopping';
  if (state.routed !== null && state.routed === desiredKey) return 'serving';
  // The older version that is brought back meanwhile is not what the state is about.
  const step = current?.step.key === desiredKey || fault === null ? current?.step.kind : undefined;
  const busy = step === undefined ? undefined : STATE_OF_STEP[step];
  if (busy !== undefined) return busy;
  return fault !== null ? 'failed' : 'pending';
}

/** What the server is told about one workload; undefined when it goes away and nothing is known of it. */
export function buildReport(input: ReportInput): WorkloadReport | undefined {
  const { name, desired, records, state, port, current, fault, restarts, servingSinceMs, nativeError, trial, held, transfer } = input;
  const routed = state.routed === null ? undefined : records.get(state.routed);
  const previous = state.previous === null ? undefined : records.get(state.previous);
  const known = desired ?? routed ?? [...records.values()][0];
  if (known === undefined) return undefined;
  return {
    name,
    model: known.model,
    desiredVersion: known.version,
    servingVersion: routed?.version ?? null,
    previousVersion: previous?.version ?? null,
    state: stateOf(input),
    port,
    progress: current?.step.kind === 'fetch' ? current.progress : null,
    error: fault === null ? null : { code: fault.code, message: fault.message.slice(0, 4096), at: fault.at },
    restarts,
    servingSince: routed === undefined || servingSinceMs === null ? null : new Date(servingSinceMs).toISOString(),
    ...(routed === undefined ? {} : { runtime: routed.native?.package ?? 'model-server' }),
    nativeError,
    ...(trial === null ? {} : { trial }),
    ...(held === null ? {} : { held }),
    ...(transfer === undefined ? {} : { transfer }),
  };
}
