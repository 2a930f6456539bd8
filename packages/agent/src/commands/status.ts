import { AppError, type ReportedState, type WorkloadReport } from '@selvedge/contract';
import { renewalDueMs } from '@selvedge/device-link';
import { runningAgent } from '../adapters/disk/folder-lock.ts';
import { type Identity, readIdentity } from '../adapters/disk/identity-folder.ts';
import { type Refusal, readRefusal } from '../adapters/disk/refusal-file.ts';
import { FolderStateStore } from '../adapters/disk/state-folder.ts';

export interface AgentStatus {
  identity: Identity;
  certificateRenewalDue: string;
  /** Process id of the agent that works in the folder; null when none does. */
  pid: number | null;
  /** Why the server does not let this device connect; null while it does. */
  refused: Refusal | null;
  /** As last kept on disk; null before the first. */
  reported: ReportedState | null;
}

/** @throws AppError NOT_FOUND (user) when the folder has not joined. */
export async function readStatus(dir: string): Promise<AgentStatus> {
  const stored = await readIdentity(dir);
  if (stored === undefined)
    throw new AppError('NOT_FOUND', {
      message: `${dir} has not joined a server.`,
      hint: 'Run: selvedge-agent join URL --token T --dir DIR',
    });
  const reported = await new FolderStateStore(dir).loadReport();
  return {
    identity: stored.identity,
    certificateRenewalDue: new Date(renewalDueMs(stored.certPem)).toISOString(),
    pid: (await runningAgent(dir)) ?? null,
    refused: (await readRefusal(dir)) ?? null,
    reported: reported ?? null,
  };
}

function describeWorkload(workload: WorkloadReport, isRunning: boolean): string {
  const { name, model, state, servingVersion, desiredVersion, port, error } = workload;
  const serving = servingVersion === null || !isRunning ? 'serves nothing' : `serves ${servingVersion} on port ${port ?? '?'}`;
  const fault = error === null ? '' : `\n    ${error.code}: ${error.message}`;
  const more = [describeTrial(workload), describeHeld(workload)].filter((line) => line !== '').map((line) => `\n    ${line}`);
  return `  ${name}: ${model}, ${isRunning ? state : 'not running'}, ${serving}, desired ${desiredVersion}${fault}${more.join('')}`;
}

function describeTrial({ trial }: WorkloadReport): string {
  if (trial === null || trial === undefined) return '';
  const number = (value: number | null) => (value === null ? '-' : Number(value.toPrecision(4)));
  const mark = (passed: boolean | null) => (passed === null ? 'not known' : passed ? 'kept' : 'broken');
  const checks = trial.checks.map(({ gate, value, bar, passed }) => `${gate} ${number(value)} of ${number(bar)} (${mark(passed)})`);
  const back = trial.revertedInMs === null ? '' : `, back in ${Math.round(trial.revertedInMs)} ms`;
  const why = trial.failure === null ? '' : `: ${trial.failure.code}: ${trial.failure.message}`;
  return `trial ${trial.id} of ${trial.version} ${trial.state}${back}${why}${checks.length === 0 ? '' : `\n      ${checks.join(', ')}`}`;
}

function describeHeld({ held }: WorkloadReport): string {
  if (held === null || held === undefined) return '';
  return `held: ${held.message}${held.untilAt === null ? '' : ` Until ${held.untilAt}.`}`;
}

/** The status as text for people. */
export function formatStatus(status: AgentStatus): string {
  const { identity, pid, reported, certificateRenewalDue, refused } = status;
  const workloads = reported?.workloads ?? [];
  return [
    `device       ${identity.device}`,
    `server       ${identity.serverUrl}`,
    `agent        ${pid === null ? 'not running' : `running, process ${pid}`}`,
    ...(refused === null ? [] : [`refused      ${refused.code}: ${refused.message}`]),
    `certificate  renewed after ${certificateRenewalDue}`,
    `workloads    ${workloads.length}`,
    ...workloads.map((workload) => describeWorkload(workload, pid !== null)),
  ].join('\n');
}
