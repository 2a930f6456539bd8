import { type TriggerSpec, triggerKindOf, triggerNamesOf } from '@selvedge/contract';

/** A scheduled time that is seen this late was missed: the server was down, or had something else to do. */
const LATE_MS = 60_000;
const DEFAULT_DEBOUNCE_S = 5;

export interface NamedTrigger {
  readonly name: string;
  readonly spec: TriggerSpec;
}

export function namedTriggers(triggers: readonly TriggerSpec[] | undefined): NamedTrigger[] {
  const names = triggerNamesOf(triggers ?? []);
  return (triggers ?? []).map((spec, at) => ({ name: names[at] ?? triggerKindOf(spec), spec }));
}

export function debounceMsOf(spec: TriggerSpec): number {
  return (spec === 'manual' ? DEFAULT_DEBOUNCE_S : (spec.debounceS ?? DEFAULT_DEBOUNCE_S)) * 1000;
}

/** What was found since the last look: where watching stands now, and what has happened, if something has. */
export interface Look {
  readonly cursor: string | null;
  readonly event: string | null;
}

/**
 * A schedule at `nowIso`.
 * @param cursor - time of the last look; null for the first, which begins to watch.
 * @param nextAfter - the next scheduled time after one; null when there is none.
 */
export function lookAtSchedule(
  missed: 'skip' | 'once',
  cursor: string | null,
  nowIso: string,
  nextAfter: (iso: string) => string | null,
): Look {
  const due = cursor === null ? null : nextAfter(cursor);
  if (due === null || due > nowIso) return { cursor: cursor ?? nowIso, event: null };
  const last = lastUntil(due, nowIso, nextAfter);
  const isLate = Date.parse(nowIso) - Date.parse(last) > LATE_MS;
  if (!isLate) return { cursor: nowIso, event: `scheduled for ${last}` };
  return { cursor: nowIso, event: missed === 'once' ? `scheduled for ${due}, made up for after downtime` : null };
}

/** The last scheduled time up to now; of a schedule that was missed very often, one that is late in any case. */
function lastUntil(first: string, nowIso: string, nextAfter: (iso: string) => string | null): string {
  const soonest = new Date(Date.parse(nowIso) - LATE_MS - 1000).toISOString();
  const recent = first < soonest ? nextAfter(soonest) : first;
  let last = recent !== null && recent <= nowIso ? recent : first;
  for (let next = nextAfter(last); next !== null && next <= nowIso; next = nextAfter(last)) last = next;
  return last;
}

/** The newest version of a dataset that is ready; null when there is none. The first look only begins to watch. */
export function lookAtDataset(dataset: string, cursor: string | null, latest: number | null): Look {
  const seen = String(latest ?? 0);
  if (cursor === null || Number(cursor) >= Number(seen)) return { cursor: cursor ?? seen, event: null };
  return { cursor: seen, event: `${dataset} version ${seen} is ready` };
}

/** A metric's newest value; undefined when there is none. Only going over to the wrong side counts, so that a run that does not help starts no other. */
export function lookAtMetric(
  metric: { name: string; below?: number | undefined; above?: number | undefined },
  cursor: string | null,
  newest: { value: number; run: string } | undefined,
): Look {
  if (newest === undefined) return { cursor: cursor ?? 'inside', event: null };
  const { below, above } = metric;
  const isOutside = (below !== undefined && newest.value < below) || (above !== undefined && newest.value > above);
  if (!isOutside) return { cursor: 'inside', event: null };
  if (cursor === 'outside') return { cursor, event: null };
  const bound = below === undefined ? `above ${above}` : `below ${below}`;
  return { cursor: 'outside', event: `${metric.name} of ${newest.run} is ${newest.value}, ${bound}` };
}
