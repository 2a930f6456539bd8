import type { ReactNode } from 'react';
import { useNow } from '../lib/clock.ts';
import { formatDateTime, formatRelative } from '../lib/format.ts';

/** A time as a distance from now, with the date in the title. */
export function RelativeTime({ at, missing = 'never' }: { at: string | null; missing?: string }): ReactNode {
  const now = useNow();
  if (at === null) return <span className="text-ink-3">{missing}</span>;
  const atMs = Date.parse(at);
  return (
    <time dateTime={at} title={formatDateTime(atMs)} className="whitespace-nowrap tabular-nums">
      {formatRelative(atMs, now)}
    </time>
  );
}
