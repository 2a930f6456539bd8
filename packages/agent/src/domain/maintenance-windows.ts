import type { MaintenanceWindow } from '@selvedge/contract';

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

interface LocalTime {
  weekday: number;
  minute: number;
}

/** Local weekday and minute of the day; undefined when the runtime does not know the time zone. */
function localTime(atMs: number, timeZone: string): LocalTime | undefined {
  if (timeZone === 'UTC') {
    const at = new Date(atMs);
    return { weekday: at.getUTCDay(), minute: at.getUTCHours() * 60 + at.getUTCMinutes() };
  }
  try {
    const options = { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
    const parts = new Intl.DateTimeFormat('en-US', options).formatToParts(new Date(atMs));
    const part = (type: string) => parts.find((found) => found.type === type)?.value ?? '';
    const weekday = WEEKDAYS.indexOf(part('weekday'));
    const minute = Number(part('hour')) * 60 + Number(part('minute'));
    return weekday < 0 || !Number.isFinite(minute) ? undefined : { weekday, minute };
  } catch {
    return undefined; // no such zone, or a Node without the data for it
  }
}

const minuteOf = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

function isIn({ from, to, days }: MaintenanceWindow, { weekday, minute }: LocalTime): boolean {
  const [begin, end] = [minuteOf(from), minuteOf(to)];
  const beginsOn = (day: number) => days === undefined || days.includes(day);
  const yesterday = (weekday + 6) % 7;
  if (begin < end) return beginsOn(weekday) && minute >= begin && minute < end;
  // Past midnight; `from` equal to `to` is a whole day.
  return (beginsOn(weekday) && minute >= begin) || (beginsOn(yesterday) && minute < end);
}

/** Minutes until the window begins; a change of the clocks in between is not foreseen. */
function minutesUntil({ from, days }: MaintenanceWindow, { weekday, minute }: LocalTime): number | undefined {
  for (let day = 0; day <= 7; day += 1) {
    const ahead = day * DAY_MINUTES + minuteOf(from) - minute;
    if (ahead > 0 && (days === undefined || days.includes((weekday + day) % 7))) return ahead;
  }
  return undefined;
}

export interface WindowState {
  isOpen: boolean;
  /** When the next window opens, Unix milliseconds; look again then. null: open now. */
  opensAtMs: number | null;
  /** Time zones that this runtime does not know; UTC is taken for them. */
  unknownZones: string[];
}

/** Whether a device may take up a new version now; it may at any time without windows. */
export function lookAtWindows(windows: readonly MaintenanceWindow[], nowMs: number): WindowState {
  const unknownZones: string[] = [];
  const placed = windows.flatMap((window) => {
    const zone = window.timeZone ?? 'UTC';
    const local = localTime(nowMs, zone);
    if (local === undefined) unknownZones.push(zone);
    const time = local ?? localTime(nowMs, 'UTC');
    return time === undefined ? [] : [{ window, time }];
  });
  if (windows.length === 0 || placed.some(({ window, time }) => isIn(window, time))) return { isOpen: true, opensAtMs: null, unknownZones };
  const ahead = placed.flatMap(({ window, time }) => minutesUntil(window, time) ?? []);
  const thisMinuteMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS;
  return { isOpen: false, opensAtMs: ahead.length === 0 ? null : thisMinuteMs + Math.min(...ahead) * MINUTE_MS, unknownZones };
}
