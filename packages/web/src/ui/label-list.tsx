import type { ReactNode } from 'react';

/** Labels as small tags; beyond `limit` the rest is counted, and listed in the title. */
export function LabelList({
  labels,
  limit = 3,
  oneLine = false,
}: {
  labels: Record<string, string>;
  limit?: number;
  oneLine?: boolean;
}): ReactNode {
  const pairs = Object.entries(labels).map(([key, value]) => (value === '' ? key : `${key}=${value}`));
  if (pairs.length === 0) return <span className="text-ink-3">none</span>;
  return (
    <span className={oneLine ? 'flex gap-1' : 'flex flex-wrap gap-1'}>
      {pairs.slice(0, limit).map((pair) => (
        <span
          key={pair}
          title={pair}
          className="max-w-44 truncate rounded border border-line bg-sunken px-1.5 font-mono text-[0.6875rem] leading-5 text-ink-2"
        >
          {pair}
        </span>
      ))}
      {pairs.length > limit && (
        <span title={pairs.slice(limit).join('\n')} className="text-xs leading-5 text-ink-3">
          +{pairs.length - limit}
        </span>
      )}
    </span>
  );
}
