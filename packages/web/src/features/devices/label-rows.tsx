import { type ReactNode, useId, useRef } from 'react';
import type { LabelRow } from '../../lib/device-edit.ts';
import { Button, IconButton } from '../../ui/button.tsx';

const INPUT =
  'h-8 w-full min-w-0 rounded-md border border-line-strong bg-surface px-2.5 font-mono text-xs text-ink focus-visible:outline-offset-0 aria-invalid:border-bad';

/** Labels as rows of key and value, with what is wrong below the row. */
export function LabelRows({
  rows,
  faults,
  onChange,
}: {
  rows: readonly LabelRow[];
  faults: readonly (string | undefined)[];
  onChange: (rows: readonly LabelRow[]) => void;
}): ReactNode {
  const id = useId();
  const add = useRef<HTMLDivElement>(null);
  const change = (index: number, row: Partial<LabelRow>) => onChange(rows.map((old, at) => (at === index ? { ...old, ...row } : old)));
  const remove = (index: number) => {
    onChange(rows.filter((_, at) => at !== index));
    // The pressed button goes away with its row.
    add.current?.querySelector('button')?.focus();
  };
  return (
    <fieldset className="grid gap-1.5">
      <legend className="mb-1 text-sm font-medium">Labels</legend>
      {rows.map((row, index) => {
        const fault = faults[index];
        const shared = {
          'aria-invalid': fault !== undefined || undefined,
          'aria-describedby': `${id}-${index}`,
          autoComplete: 'off',
          spellCheck: false,
          className: INPUT,
        } as const;
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row has no name but its place; its key is being typed
          <div key={index} className="grid grid-cols-[minmax(0,1fr)_auto_minmax(0,1fr)_auto] items-center gap-x-1.5">
            <input
              {...shared}
              aria-label={`Key of label ${index + 1}`}
              value={row.key}
              placeholder="site"
              onChange={(event) => change(index, { key: event.target.value })}
            />
            <span aria-hidden="true" className="text-ink-3">
              =
            </span>
            <input
              {...shared}
              aria-label={`Value of label ${index + 1}`}
              value={row.value}
              placeholder="plant-3"
              onChange={(event) => change(index, { value: event.target.value })}
            />
            <IconButton icon="trash" label={`Remove label ${row.key === '' ? index + 1 : row.key}`} onClick={() => remove(index)} />
            <p id={`${id}-${index}`} aria-live="polite" className="col-span-4 text-xs text-bad empty:hidden">
              {fault}
            </p>
          </div>
        );
      })}
      <div ref={add}>
        <Button size="sm" variant="quiet" icon="plus" onClick={() => onChange([...rows, { key: '', value: '' }])}>
          Add label
        </Button>
      </div>
    </fieldset>
  );
}
