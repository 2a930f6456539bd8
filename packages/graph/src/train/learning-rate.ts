import type { Hyperparams } from '@selvedge/contract';

export type LearningRateSchedule = NonNullable<Hyperparams['lr_schedule']>;

/** Where in the whole run a step lies. */
export interface RunPosition {
  /** Learning rate at the start (of the run, or after the warm-up). */
  readonly lr: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  /** Steps done before this one, from 0. */
  readonly step: number;
}

/**
 * Learning rate of a step. `constant` (also for undefined): lr. `step`: lr * gamma^k, k = whole multiples of `every`
 * epochs done. `cosine`: rises in equal parts from lr/warm-up steps to lr over `warmup_epochs`, then falls as half a
 * cosine wave to 0, which it would reach with the step after the last (Loshchilov and Hutter 2017, one cycle).
 */
export function learningRateAt(schedule: LearningRateSchedule | undefined, position: RunPosition): number {
  const { lr, epochs, stepsPerEpoch, step } = position;
  switch (schedule?.type) {
    case undefined:
    case 'constant':
      return lr;
    case 'step':
      return lr * schedule.gamma ** Math.floor(Math.floor(step / stepsPerEpoch) / schedule.every);
    case 'cosine': {
      const total = epochs * stepsPerEpoch;
      const warmup = Math.min(total, Math.round((schedule.warmup_epochs ?? 0) * stepsPerEpoch));
      if (step < warmup) return (lr * (step + 1)) / warmup;
      const done = Math.min(1, (step - warmup) / Math.max(1, total - warmup));
      return (lr * (1 + Math.cos(Math.PI * done))) / 2;
    }
  }
}
