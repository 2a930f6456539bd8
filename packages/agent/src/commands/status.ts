import { AppError, type BudgetStanding, budgetText, type ReportedState, type SpoolStanding, type WorkloadReport } from '@selvedge/contract';
import { renewalDueMs } from '@selvedge/device-link';
import { createLogger } from '@selvedge/runtime';
import { BundleFolder } from '../adapters/disk/bundle-folder.ts';
import { DiskSpool } from '../adapters/disk/disk-spool.ts';
import { folderBytes } from '../adapters/disk/disk-use.ts';
import { runningAgent } from '../adapters/disk/folder-lock.ts';
import { type Identity, readIdentity } from '../adapters/disk/identity-folder.ts';
import { type Refusal, readRefusal } from '../adapters/disk/refusal-file.ts';
import { FolderStateStore } from '../adapters/disk/state-folder.ts';
import { readTraffic } from '../adapters/disk/traffic-file.ts';
import type { BundleMemory } from '../domain/bundle-order.ts';
import { effectiveBudgets } from '../domain/effective-budgets.ts';
import { describeBytes } from '../services/budgets.ts';
import { readSettings } from './settings.ts';
import { limitsOf, readToldBudgets, spoolBytes, spoolFolder } from './upkeep.ts';

export interface AgentStatus {
  identity: Identity;
  certificateRenewalDue: string;
  /** Process id of the agent that works in the folder; null when none does. */
  pid: number | null;
  /** Why the server does not let this device connect; null while it does. */
  refused: Refusal | null;
  /** The bundle that was applied last; null before the first. */
  bundle: BundleMemory['last'];
  /** As last kept on disk; null before the first. */
  reported: ReportedState | null;
  spool: SpoolStanding;
  budgets: BudgetStanding;
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
    bundle: (await new BundleFolder(dir).readMemory(stored.identity.caSha256)).last,
    reported: reported ?? null,
    ...(await readUpkeep(dir, stored.identity.device)),
  };
}

/** As it is on disk: a running agent keeps it a few minutes late. Flags that it was started with are not known here. */
async function readUpkeep(dir: string, device: string): Promise<{ spool: SpoolStanding; budgets: BudgetStanding }> {
  const log = createLogger({ name: 'status', level: 'error', write: () => undefined });
  const effective = effectiveBudgets(await readSettings(dir), await readToldBudgets(dir, log));
  const limits = limitsOf(effective);
  const today = new Date().toISOString().slice(0, 10);
  const count = await readTraffic(dir);
  const trafficBytes = count?.day === today ? count.bytes : 0;
  const isUsedUp = limits.trafficBytes !== null && trafficBytes >= limits.trafficBytes;
  const message = `The budget of ${describeBytes(limits.trafficBytes ?? 0)} a day is used up.`;
  return {
    spool: await DiskSpool.inspect({ folder: spoolFolder(dir), device, budgetBytes: spoolBytes(effective.values), log }),
    budgets: {
      trafficBytes,
      trafficBudgetBytes: limits.trafficBytes,
      diskBytes: await folderBytes(dir),
      diskBudgetBytes: limits.diskBytes,
      memoryLimitBytes: limits.memoryBytes,
      cpuLimit: limits.cpus,
      waits: isUsedUp ? { reason: 'traffic', message, untilAt: null } : null,
      inEffect: effective.inEffect,
    },
  };
}

function describeSpool({ usedBytes, budgetBytes, waiting, oldestAt, aggregated, dropped }: SpoolStanding): string {
  const since = oldestAt === null ? '' : ` since ${oldestAt}`;
  const lost = dropped === 0 ? '' : `, ${dropped} given up`;
  const joined = aggregated === 0 ? '' : `, ${aggregated} put together with others`;
  return `${waiting} waiting${since}, ${describeBytes(usedBytes)} of ${describeBytes(budgetBytes)}${joined}${lost}`;
}

function describeBudgets(budgets: BudgetStanding): string[] {
  const of = (used: number | null, budget: number | null) =>
    `${used === null ? '-' : describeBytes(used)}${budget === null ? ', no limit' : ` of ${describeBytes(budget)}`}`;
  const { waits, memoryLimitBytes, cpuLimit, inEffect = [] } = budgets;
  const until = waits?.untilAt ?? 'the next day (UTC)';
  return [
    `traffic      ${of(budgets.trafficBytes, budgets.trafficBudgetBytes)} today${waits === null ? '' : `; telemetry and downloads wait until ${until}`}`,
    `disk         ${of(budgets.diskBytes, budgets.diskBudgetBytes)}`,
    `per model    memory ${memoryLimitBytes === null ? 'three quarters of the machine' : describeBytes(memoryLimitBytes)}, cpu ${cpuLimit === null ? 'no limit' : `${cpuLimit} cores`}`,
    ...(inEffect.length === 0 ? [] : [`set          ${inEffect.map(budgetText).join(', ')}`]),
  ];
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
  const { identity, pid, reported, certificateRenewalDue, refused, bundle } = status;
  const workloads = reported?.workloads ?? [];
  return [
    `device       ${identity.device}`,
    `server       ${identity.serverUrl}`,
    `agent        ${pid === null ? 'not running' : `running, process ${pid}`}`,
    ...(refused === null ? [] : [`refused      ${refused.code}: ${refused.message}`]),
    ...(bundle === null ? [] : [`bundle       ${bundle.id}, revision ${bundle.revision}, applied at ${bundle.appliedAt}`]),
    `certificate  renewed after ${certificateRenewalDue}`,
    `to send      ${describeSpool(status.spool)}`,
    ...describeBudgets(status.budgets),
    `workloads    ${workloads.length}`,
    ...workloads.map((workload) => describeWorkload(workload, pid !== null)),
  ].join('\n');
}
