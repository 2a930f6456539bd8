import type { ButtonHTMLAttributes, ReactNode } from 'react';
import { classNames } from './class-names.ts';
import { Icon, type IconName } from './icon.tsx';

export type ButtonVariant = 'primary' | 'secondary' | 'quiet' | 'danger';

const VARIANTS: Record<ButtonVariant, string> = {
  primary: 'bg-accent text-on-accent hover:bg-accent-strong border-transparent',
  secondary: 'bg-surface text-ink border-line hover:border-line-strong shadow-card',
  quiet: 'bg-transparent text-ink-2 border-transparent hover:bg-sunken hover:text-ink',
  danger: 'bg-surface text-bad border-line hover:border-bad hover:bg-bad-soft',
};

const BASE =
  'inline-flex items-center justify-center gap-1.5 rounded-md border font-medium whitespace-nowrap select-none ' +
  'transition-colors duration-100 disabled:opacity-50 disabled:cursor-not-allowed';

/** Classes of a button, for links that look like one. */
export function buttonClasses(variant: ButtonVariant = 'secondary', size: 'sm' | 'md' = 'md'): string {
  return classNames(BASE, VARIANTS[variant], size === 'sm' ? 'h-7 px-2 text-xs' : 'h-8 px-3 text-sm');
}

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  variant?: ButtonVariant;
  size?: 'sm' | 'md';
  icon?: IconName;
  /** Shows that work is under way, and blocks a second press. */
  busy?: boolean;
}

export function Button({ variant, size, icon, busy = false, children, className, disabled, ...rest }: ButtonProps): ReactNode {
  const shown = busy ? 'spin' : icon;
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled === true || busy}
      aria-busy={busy || undefined}
      className={classNames(buttonClasses(variant, size), className)}
    >
      {shown !== undefined && <Icon name={shown} size={size === 'sm' ? 14 : 15} />}
      {children}
    </button>
  );
}

/** Classes of a button of an icon alone, for links that look like one. */
export function iconButtonClasses(): string {
  return 'inline-flex size-8 items-center justify-center rounded-md text-ink-3 transition-colors hover:bg-sunken hover:text-ink disabled:opacity-50';
}

/** A button of an icon alone; `label` is what it is called. */
export function IconButton({
  icon,
  label,
  className,
  ...rest
}: Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'children'> & { icon: IconName; label: string }): ReactNode {
  return (
    <button type="button" aria-label={label} title={label} {...rest} className={classNames(iconButtonClasses(), className)}>
      <Icon name={icon} />
    </button>
  );
}
