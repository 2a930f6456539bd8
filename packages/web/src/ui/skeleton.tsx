import type { ReactNode } from 'react';
import { classNames } from './class-names.ts';

export function Skeleton({ className }: { className?: string }): ReactNode {
  return <span aria-hidden="true" className={classNames('skeleton block rounded-md', className ?? 'h-4 w-full')} />;
}

/** Stands where rows will be, as tall as they are. */
export function SkeletonRows({ rows = 4, label }: { rows?: number; label: string }): ReactNode {
  return (
    <div role="status" aria-label={`Loading ${label}`} className="grid gap-3 p-4">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows are all the same and never move
        <Skeleton key={row} className={row % 2 === 0 ? 'h-5 w-full' : 'h-5 w-4/5'} />
      ))}
    </div>
  );
}
