import type { ReactNode } from 'react';
import type { Tone } from '../lib/status.ts';
import { classNames } from './class-names.ts';

const FILL: Record<Tone, string> = { ok: 'bg-ok', busy: 'bg-busy pulse', warn: 'bg-warn', bad: 'bg-bad', idle: 'bg-line' };

/** Steps as short bars in a row; `label` says the same in words. */
export function StepStrip({
  steps,
  label,
}: {
  steps: readonly { readonly name: string; readonly tone: Tone }[];
  label: string;
}): ReactNode {
  return (
    <span role="img" aria-label={label} title={label} className="inline-flex gap-0.5 align-middle">
      {steps.map((step) => (
        <span key={step.name} className={classNames('h-3 w-2 rounded-[2px]', FILL[step.tone])} />
      ))}
    </span>
  );
}
