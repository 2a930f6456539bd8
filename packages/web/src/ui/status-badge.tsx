import type { ReactNode } from 'react';
import type { Status, Tone } from '../lib/status.ts';
import { classNames } from './class-names.ts';
import { Icon, type IconName } from './icon.tsx';

const ICONS: Record<Tone, IconName> = { ok: 'check', busy: 'spin', warn: 'warning', bad: 'cross', idle: 'dash' };
const CLASSES: Record<Tone, string> = {
  ok: 'bg-ok-soft text-ok',
  busy: 'bg-busy-soft text-busy',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
  idle: 'bg-idle-soft text-idle',
};
const TONE_TEXT: Record<Tone, string> = { ok: 'text-ok', busy: 'text-busy', warn: 'text-warn', bad: 'text-bad', idle: 'text-idle' };

/** A state as colour, icon and word together. */
export function StatusBadge({ status, className }: { status: Status; className?: string }): ReactNode {
  return (
    <span
      className={classNames(
        'inline-flex h-5.5 items-center gap-1 rounded-full pr-2 pl-1.5 text-xs font-medium whitespace-nowrap',
        CLASSES[status.tone],
        className,
      )}
    >
      <Icon name={ICONS[status.tone]} size={12} />
      {status.text}
    </span>
  );
}

/** The icon of a tone alone; the word must stand beside it. */
export function StatusIcon({ tone, size = 14 }: { tone: Tone; size?: number }): ReactNode {
  return <Icon name={ICONS[tone]} size={size} className={TONE_TEXT[tone]} />;
}
