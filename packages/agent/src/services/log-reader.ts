import { AppError, type Command, type LogPage } from '@selvedge/contract';
import type { DeviceLogs } from '../ports/device-log.ts';

/**
 * Lines of the agent's log or of a workload's; waits for some when there are none behind `after`.
 *
 * @throws AppError NOT_FOUND (user) when the device has no such log.
 */
export async function readLogs(
  logs: DeviceLogs,
  { workload, after, tail, since, waitMs }: Extract<Command, { type: 'logs' }>,
): Promise<LogPage> {
  if (workload !== undefined && !logs.has(workload))
    throw new AppError('NOT_FOUND', { message: `The device has no log of a workload "${workload}".` });
  const log = workload === undefined ? logs.agent : logs.workload(workload);
  if (after !== undefined) await log.wait(after, waitMs);
  return log.read({ after, tail, sinceMs: since === undefined ? undefined : Date.parse(since) });
}
