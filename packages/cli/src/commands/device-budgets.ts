import { AppError, type BudgetName, type Device, type DeviceBudgets, deviceBudgetsSchema, issuesOf } from '@selvedge/contract';
import { type Command, InvalidArgumentError } from 'commander';

/** A value of a budget as it was given; `none` takes it away. */
type Given<T> = T | 'none';

export interface BudgetOptions {
  trafficMibPerDay?: Given<number>;
  diskMib?: Given<number>;
  spoolMib?: Given<number>;
  memoryLimitMib?: Given<number>;
  cpuLimit?: Given<number>;
  telemetryIntervalS?: Given<number>;
  telemetryBatchS?: Given<number>;
  resultsIntervalS?: Given<number>;
  metered?: Given<boolean | 'auto'>;
  deferTelemetry?: Given<'untilUnmetered'>;
}

function parseNumber(text: string): Given<number> {
  const value = text === 'none' || text.trim() === '' ? Number.NaN : Number(text);
  if (text !== 'none' && Number.isNaN(value)) throw new InvalidArgumentError('Give a number, or "none" to take the budget away.');
  return text === 'none' ? 'none' : value;
}

function parseMetered(text: string): Given<boolean | 'auto'> {
  if (text === 'none' || text === 'auto') return text;
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('Give true, false, auto, or "none" to say nothing about it.');
  return text === 'true';
}

function parseDeferral(text: string): Given<'untilUnmetered'> {
  if (text !== 'untilUnmetered' && text !== 'none') throw new InvalidArgumentError('Give untilUnmetered, or "none".');
  return text;
}

/** Adds an option for each budget. */
export function addBudgetOptions(command: Command): Command {
  return command
    .option('--traffic-mib-per-day <n>', 'most that the agent\'s connections may move in a day (UTC); "none" takes it away', parseNumber)
    .option('--disk-mib <n>', 'most that versions, spool and logs may take; "none" takes it away', parseNumber)
    .option('--spool-mib <n>', 'most that what waits to be sent may take; "none" takes it away', parseNumber)
    .option('--memory-limit-mib <n>', 'most memory of each model process; "none" takes it away', parseNumber)
    .option('--cpu-limit <cores>', 'most CPU of each model process; "none" takes it away', parseNumber)
    .option('--metered <how>', 'whether its link is metered: true, false or auto; "none" takes it away', parseMetered)
    .option('--defer-telemetry <until>', 'untilUnmetered: what was kept is not sent over a metered link; or "none"', parseDeferral)
    .option('--telemetry-interval-s <n>', 'seconds between samples; "none" takes it away', parseNumber)
    .option('--telemetry-batch-s <n>', 'seconds between batches; "none" takes it away', parseNumber)
    .option('--results-interval-s <n>', 'seconds of a summary of results; "none" takes it away', parseNumber);
}

/**
 * The device's spec with the budgets that were given; the others stay.
 *
 * @throws AppError USAGE naming the budget, when a value is impossible.
 */
export function withBudgets(spec: Device['spec'], options: BudgetOptions): Device['spec'] {
  const { budgets: known = {}, ...rest } = spec;
  const given: [BudgetName, unknown][] = [
    ['trafficMiBPerDay', options.trafficMibPerDay],
    ['diskMiB', options.diskMib],
    ['spoolMiB', options.spoolMib],
    ['memoryLimitMiB', options.memoryLimitMib],
    ['cpuLimit', options.cpuLimit],
    ['metered', options.metered],
    ['defer', options.deferTelemetry === 'untilUnmetered' ? { telemetry: options.deferTelemetry } : options.deferTelemetry],
    ['telemetryIntervalS', options.telemetryIntervalS],
    ['telemetryBatchS', options.telemetryBatchS],
    ['resultsIntervalS', options.resultsIntervalS],
  ];
  const changes = given.filter(([, value]) => value !== undefined);
  const merged: Partial<Record<BudgetName, unknown>> = { ...known, ...Object.fromEntries(changes) };
  const kept = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== 'none'));
  const parsed = deviceBudgetsSchema.safeParse(kept);
  if (!parsed.success) throw new AppError('USAGE', { message: 'A budget has an impossible value.', issues: issuesOf(parsed.error) });
  const budgets: DeviceBudgets = parsed.data;
  return Object.keys(budgets).length === 0 ? rest : { ...rest, budgets };
}
