import type { ReactNode } from 'react';
import { classNames } from './class-names.ts';

/** `value` 0..1. */
export function Progress({ value, label, className }: { value: number; label: string; className?: string }): ReactNode {
  const percent = Math.round(Math.min(1, Math.max(0, value)) * 100);
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuenow={percent}
      aria-valuemin={0}
      aria-valuemax={100}
      className={classNames('h-1.5 overflow-hidden rounded-full bg-sunken', className)}
    >
      <div className="h-full rounded-full bg-busy transition-[width] duration-300" style={{ width: `${percent}%` }} />
    </div>
  );
}

/** A small bar of a share beside its number, as in tables; the number is the text. */
export function Meter({ share, text }: { share: number | null; text: string }): ReactNode {
  return (
    <span className="inline-flex items-center gap-2 align-middle whitespace-nowrap">
      <span aria-hidden="true" className="h-1 w-8 shrink-0 overflow-hidden rounded-full bg-line">
        <span
          className={classNames(
            'block h-full rounded-full',
            share !== null && share > 0.9 ? 'bg-bad' : share !== null && share > 0.75 ? 'bg-warn' : 'bg-accent',
          )}
          style={{ width: `${Math.round((share ?? 0) * 100)}%` }}
        />
      </span>
      <span className={classNames('tabular-nums', share === null && 'text-ink-3')}>{text}</span>
    </span>
  );
}
