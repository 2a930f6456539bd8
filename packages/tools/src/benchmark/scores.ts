import type { BenchmarkKind, BenchmarkReport, ClassReport, PostprocSpec } from '@selvedge/contract';
import type { Box } from '@selvedge/graph/ops';
import type { EachBatch, ModelRunner } from './model-runner.ts';

/** How many of the worst samples a report shows. */
export const MAX_MISTAKES = 24;

/** A box as it is drawn: in pixels of the sample. */
export interface DrawnBox {
  readonly box: Readonly<Box>;
  readonly text: string;
  /** `missed`: an object that was not found; `wrong`: a box without an object of its class. */
  readonly state: 'found' | 'missed' | 'wrong';
}

export interface Mistake {
  readonly sample: number;
  readonly actual: string;
  readonly predicted: string;
  readonly confidence: number;
  readonly boxes?: readonly DrawnBox[];
  /** Another sample to show beside it: what it was taken for. */
  readonly beside?: number;
}

/** What is measured of a model on the test split, whatever its kind. */
export interface Scores {
  readonly kind: BenchmarkKind;
  readonly metrics: Record<string, number>;
  readonly perClass: ClassReport[];
  readonly confusion: number[][];
  readonly calibration?: NonNullable<BenchmarkReport['calibration']>;
  readonly mistakes: readonly Mistake[];
  /** How the numbers were computed, in sentences. */
  readonly notes: readonly string[];
}

export interface ScoreOptions extends EachBatch {
  readonly runner: ModelRunner;
  readonly labels: readonly string[];
  readonly postproc: PostprocSpec | undefined;
}

/** Keeps the `limit` worst of what it is shown, the worst first. */
export class WorstOf<T> {
  readonly #limit: number;
  readonly #kept: { badness: number; value: T }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(badness: number, make: () => T): void {
    const last = this.#kept.at(-1);
    if (this.#kept.length === this.#limit && last !== undefined && badness <= last.badness) return;
    const at = this.#kept.findIndex((one) => one.badness < badness);
    this.#kept.splice(at < 0 ? this.#kept.length : at, 0, { badness, value: make() });
    this.#kept.splice(this.#limit);
  }

  get values(): T[] {
    return this.#kept.map(({ value }) => value);
  }
}
