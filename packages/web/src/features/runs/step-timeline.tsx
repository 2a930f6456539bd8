import type { RunStep } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { useNow } from '../../lib/clock.ts';
import { formatDuration, plural } from '../../lib/format.ts';
import { stepBars } from '../../lib/run-times.ts';
import { stepStatus, type Tone } from '../../lib/status.ts';
import { classNames } from '../../ui/class-names.ts';
import { StatusIcon } from '../../ui/status-badge.tsx';

const BARS: Record<Tone, string> = { ok: 'bg-ok', busy: 'bg-busy pulse', warn: 'bg-warn', bad: 'bg-bad', idle: 'bg-line-strong' };

export interface StepTimelineProps {
  steps: readonly RunStep[];
  /** The step whose log is shown. */
  shown: string | undefined;
  onShow: (step: string) => void;
}

/** The steps as bars on one time axis; a press on a step shows its log. */
export function StepTimeline({ steps, shown, onShow }: StepTimelineProps): ReactNode {
  const now = useNow(steps.some((step) => step.state === 'running') ? 1000 : 3_600_000);
  return (
    <ol className="divide-y divide-line">
      {stepBars(steps, now).map(({ step, seconds, offset, length }) => {
        const { tone, text } = stepStatus(step.state);
        return (
          <li key={step.name}>
            <button
              type="button"
              aria-pressed={shown === step.name}
              disabled={step.startedAt === null}
              onClick={() => onShow(step.name)}
              className={classNames(
                'grid min-h-10 w-full grid-cols-[1rem_5.5rem_minmax(0,1fr)_5rem] items-center gap-x-3 px-4 text-left text-sm focus-visible:-outline-offset-2 enabled:hover:bg-sunken/60',
                shown === step.name && 'bg-accent-soft/60',
              )}
            >
              <StatusIcon tone={tone} />
              <span className={classNames('truncate font-medium', step.state === 'pending' && 'text-ink-2')}>
                {step.name}
                <span className="sr-only">: {text}</span>
              </span>
              <span className="min-w-0">
                {length > 0 && (
                  <span className="block h-1.5 overflow-hidden rounded-full bg-sunken">
                    <span
                      className={classNames('block h-full min-w-1 rounded-full', BARS[tone])}
                      style={{ marginLeft: `${offset * 100}%`, width: `${length * 100}%` }}
                    />
                  </span>
                )}
                <StepNote step={step} />
              </span>
              <span className="text-right text-ink-2 tabular-nums">{seconds === null ? '' : formatDuration(seconds)}</span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}

function StepNote({ step }: { step: RunStep }): ReactNode {
  const parts = [
    step.state === 'running' ? `${Math.round(step.progress * 100)} %` : '',
    step.attempt > 1 ? plural(step.attempt, 'attempt') : '',
    step.state === 'running' || step.state === 'failed' || step.state === 'skipped' ? step.message : '',
    step.cachedFrom == null ? '' : `cached from ${step.cachedFrom}`,
  ].filter((part) => part !== '');
  if (parts.length === 0) return null;
  return (
    <span
      title={step.message}
      className={classNames('mt-1 block truncate text-xs tabular-nums', step.state === 'failed' ? 'text-bad' : 'text-ink-2')}
    >
      {parts.join(' · ')}
    </span>
  );
}
