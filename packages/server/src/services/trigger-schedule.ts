import { AppError, type Issue, type TriggerSpec } from '@selvedge/contract';
import { Cron } from 'croner';

type Schedule = Extract<TriggerSpec, { schedule: string }>;

const cronOf = ({ schedule, timezone = 'UTC' }: Pick<Schedule, 'schedule' | 'timezone'>): Cron =>
  new Cron(schedule, { timezone, paused: true });

/** The next time of a schedule after another time; null when there is none. */
export function nextScheduled(schedule: Pick<Schedule, 'schedule' | 'timezone'>, afterIso: string): string | null {
  return cronOf(schedule).nextRun(new Date(afterIso))?.toISOString() ?? null;
}

/** Faults of schedules that a schema does not see. */
export function scheduleIssues(triggers: readonly TriggerSpec[] | undefined, path: string): Issue[] {
  return (triggers ?? []).flatMap((trigger, at): Issue[] => {
    if (trigger === 'manual' || !('schedule' in trigger)) return [];
    if (!isTimezone(trigger.timezone ?? 'UTC'))
      return [{ path: `${path}[${at}].timezone`, message: `"${trigger.timezone}" is no time zone; give a name like Europe/Paris` }];
    try {
      if (cronOf(trigger).nextRun() !== null) return [];
      return [{ path: `${path}[${at}].schedule`, message: `"${trigger.schedule}" never comes` }];
    } catch (error) {
      return [{ path: `${path}[${at}].schedule`, message: error instanceof Error ? error.message : 'is not a cron expression' }];
    }
  });
}

function isTimezone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
    return true;
  } catch {
    return false;
  }
}

/** @throws AppError INPUT_INVALID. */
export function refuseFaultySchedules(issues: readonly Issue[]): void {
  if (issues.length === 0) return;
  throw new AppError('INPUT_INVALID', {
    message: 'A trigger has a schedule that cannot be followed.',
    hint: 'A schedule is "minute hour day-of-month month day-of-week", like "0 3 * * 1-5".',
    issues: [...issues],
  });
}
