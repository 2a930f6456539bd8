import { Fragment, type ReactNode } from 'react';

/** A list of facts. A long value is cut with its whole text in the title. */
export function KeyValue({ items }: { items: readonly (readonly [key: string, value: ReactNode, title?: string])[] }): ReactNode {
  return (
    <dl className="grid grid-cols-[minmax(6rem,auto)_minmax(0,1fr)] gap-x-4 gap-y-1.5 text-sm">
      {items.map(([key, value, title]) => (
        <Fragment key={key}>
          <dt className="text-ink-3">{key}</dt>
          <dd className="truncate text-ink" title={title ?? (typeof value === 'string' ? value : undefined)}>
            {value}
          </dd>
        </Fragment>
      ))}
    </dl>
  );
}
