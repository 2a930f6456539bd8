import { type LinkStanding, linkGrade, linkText } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { classNames } from '../../ui/class-names.ts';

const BARS = { poor: 1, fair: 2, good: 3 } as const;
const TONES = { poor: 'bg-bad', fair: 'bg-warn', good: 'bg-ok' } as const;
const HEIGHTS = ['h-1.5', 'h-2.5', 'h-3.5'] as const;

/** Three bars, as on a telephone, and the round trip or more beside them; the words for whoever does not see them. */
export function LinkQuality({ link, full = false }: { link: LinkStanding | undefined; full?: boolean }): ReactNode {
  if (link === undefined) return <span className="text-ink-3">–</span>;
  const grade = linkGrade(link);
  const text = linkText(link);
  return (
    <span className="inline-flex min-w-0 items-center gap-2 align-middle" title={`${grade}: ${text}`}>
      <span aria-hidden="true" className="inline-flex shrink-0 items-end gap-0.5">
        {HEIGHTS.map((height, at) => (
          <span key={height} className={classNames('w-1 rounded-sm', height, at < BARS[grade] ? TONES[grade] : 'bg-line')} />
        ))}
      </span>
      <span className="sr-only">{grade}:</span>
      <span className={classNames('tabular-nums', !full && 'whitespace-nowrap')}>{full ? `${grade}, ${text}` : text.split(', ')[0]}</span>
    </span>
  );
}
