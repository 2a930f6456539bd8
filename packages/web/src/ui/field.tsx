import { type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes, useId } from 'react';
import { classNames } from './class-names.ts';

const BOX =
  'w-full min-w-0 rounded-md border border-line-strong bg-surface px-2.5 text-sm text-ink placeholder:text-ink-3 ' +
  'focus-visible:outline-offset-0 disabled:opacity-60 aria-invalid:border-bad';
const CONTROL = `h-8 ${BOX}`;

interface Described {
  label: string;
  hint?: ReactNode;
  /** What is wrong; announced. */
  error?: string | undefined;
}

function Frame({ id, label, hint, error, children }: Described & { id: string; children: ReactNode }): ReactNode {
  return (
    <div className="grid content-start gap-1">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children}
      <div id={`${id}-hint`} aria-live="polite" className={classNames('min-h-4 text-xs', error === undefined ? 'text-ink-3' : 'text-bad')}>
        {error ?? hint}
      </div>
    </div>
  );
}

export function TextField({ label, hint, error, className, ...rest }: InputHTMLAttributes<HTMLInputElement> & Described): ReactNode {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <input
        {...rest}
        id={id}
        aria-describedby={`${id}-hint`}
        aria-invalid={error !== undefined || undefined}
        autoComplete={rest.autoComplete ?? 'off'}
        spellCheck={false}
        className={classNames(CONTROL, className)}
      />
    </Frame>
  );
}

/** Text of several lines. */
export function TextAreaField({ label, hint, error, ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement> & Described): ReactNode {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <textarea
        {...rest}
        id={id}
        aria-describedby={`${id}-hint`}
        aria-invalid={error !== undefined || undefined}
        className={classNames(BOX, 'py-1.5')}
      />
    </Frame>
  );
}

export function SelectField({ label, hint, error, children, ...rest }: SelectHTMLAttributes<HTMLSelectElement> & Described): ReactNode {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <select {...rest} id={id} aria-describedby={`${id}-hint`} className={CONTROL}>
        {children}
      </select>
    </Frame>
  );
}

/** A search field without a visible label, for the head of a table. */
export function SearchInput({ label, ...rest }: InputHTMLAttributes<HTMLInputElement> & { label: string }): ReactNode {
  return (
    <input type="search" aria-label={label} placeholder={label} spellCheck={false} {...rest} className={classNames(CONTROL, 'max-w-64')} />
  );
}
