import { Fragment, type ReactNode } from 'react';
import { classNames } from './class-names.ts';

export interface KeyValueProps {
  items: readonly (readonly [key: string, value: ReactNode, title?: string])[];
  /** Breaks a long value into lines; default: it is cut, with its whole text in the title. */
  wrap?: boolean;
}

/** A list of facts. */
export function KeyValue({ items, wrap = false }: KeyValueProps): ReactNode {
  return (
    <dl className="grid grid-cols-[minmax(6rem,auto)_minmax(0,1fr)] gap-x-4 gap-y-1.5 text-sm">
      {items.map(([key, value, title]) => (
        <Fragment key={key}>
          <dt className="text-ink-3">{key}</dt>
          <dd
            className={classNames('text-ink', wrap ? 'break-words' : 'truncate')}
            title={title ?? (typeof value === 'string' ? value : undefined)}
          >
            {value}
          </dd>
        </Fragment>
      ))}
    </dl>
  );
}
