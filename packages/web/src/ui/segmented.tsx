import { type ReactNode, useId } from 'react';
import { classNames } from './class-names.ts';

/** One of a few choices, side by side: a radio group underneath. */
export function Segmented<T extends string>({
  label,
  options,
  value,
  onChange,
}: {
  label: string;
  options: readonly { readonly id: T; readonly text: string; readonly count?: number }[];
  value: T;
  onChange: (id: T) => void;
}): ReactNode {
  const name = useId();
  return (
    <fieldset className="flex max-w-full gap-0.5 overflow-x-auto rounded-md bg-sunken p-0.5">
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label
          key={option.id}
          className={classNames(
            'flex h-7 cursor-pointer items-center rounded px-2.5 text-xs font-medium whitespace-nowrap has-focus-visible:outline-2 has-focus-visible:-outline-offset-2 has-focus-visible:outline-accent',
            option.id === value ? 'bg-surface text-ink shadow-card' : 'text-ink-2 hover:text-ink',
          )}
        >
          <input type="radio" name={name} checked={option.id === value} onChange={() => onChange(option.id)} className="sr-only" />
          {option.text}
          {option.count !== undefined && <span className="ml-1.5 text-ink-3 tabular-nums">{option.count}</span>}
        </label>
      ))}
    </fieldset>
  );
}
