import type { ReactNode } from 'react';
import { classNames } from './class-names.ts';

interface Bar {
  readonly label: string;
  /** Null where nothing was measured. */
  readonly value: number | null;
  readonly text: string;
}

export interface PairedBarsProps {
  title: string;
  /** The one to compare with, and the new one. */
  bars: readonly [Bar, Bar];
  /** How they stand to one another. */
  ratio: string;
  /** Below the bars. */
  note?: string | undefined;
}

/** Two values of one measure as bars of one scale; the numbers are the text. */
export function PairedBars({ title, bars, ratio, note }: PairedBarsProps): ReactNode {
  const most = Math.max(...bars.map(({ value }) => value ?? 0));
  return (
    <div className="grid min-w-0 content-start gap-1.5">
      <p className="flex items-baseline justify-between gap-2 text-sm">
        <span className="font-medium">{title}</span>
        <span className="text-ink-2 tabular-nums">{ratio}</span>
      </p>
      <dl className="grid grid-cols-[auto_minmax(2rem,1fr)_auto] items-center gap-x-2 gap-y-1 text-xs">
        {bars.map(({ label, value, text }, index) => (
          <div key={label} className="contents">
            <dt className="max-w-24 truncate text-ink-2" title={label}>
              {label}
            </dt>
            <dd aria-hidden="true" className="h-2.5 overflow-hidden rounded-sm bg-sunken">
              <span
                className={classNames('block h-full rounded-sm', index === 0 ? 'bg-idle' : 'bg-busy')}
                style={{ width: `${most === 0 ? 0 : ((value ?? 0) / most) * 100}%` }}
              />
            </dd>
            <dd className={classNames('text-right tabular-nums', value === null && 'text-ink-3')}>{text}</dd>
          </div>
        ))}
      </dl>
      {note !== undefined && <p className="text-xs text-ink-3">{note}</p>}
    </div>
  );
}
