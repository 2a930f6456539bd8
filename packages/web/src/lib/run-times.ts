import type { RunStep } from '@selvedge/contract';

interface Times {
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

/** Seconds from start to end, to now while it goes on; null before it began. */
export function runSeconds({ startedAt, finishedAt }: Times, nowMs: number): number | null {
  if (startedAt === null) return null;
  return Math.max(0, (finishedAt === null ? nowMs : Date.parse(finishedAt)) - Date.parse(startedAt)) / 1000;
}

export interface StepBar {
  readonly step: RunStep;
  readonly seconds: number | null;
  /** Where the bar begins and how long it is, as shares of the whole run 0..1. */
  readonly offset: number;
  readonly length: number;
}

/** The steps on one time axis, from the first start to the last end (or now). */
export function stepBars(steps: readonly RunStep[], nowMs: number): StepBar[] {
  const starts = steps.flatMap((step) => (step.startedAt === null ? [] : [Date.parse(step.startedAt)]));
  const begin = Math.min(...starts);
  const ends = steps.flatMap((step) => (step.startedAt === null ? [] : [step.finishedAt === null ? nowMs : Date.parse(step.finishedAt)]));
  const span = Math.max(1, Math.max(...ends) - begin);
  return steps.map((step) => {
    const seconds = runSeconds(step, nowMs);
    if (seconds === null || step.startedAt === null) return { step, seconds: null, offset: 0, length: 0 };
    return { step, seconds, offset: (Date.parse(step.startedAt) - begin) / span, length: (seconds * 1000) / span };
  });
}
