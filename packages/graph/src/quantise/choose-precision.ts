import { AppError } from '@selvedge/contract';

export interface PrecisionCandidate {
  /** `fp32` is the one that the others are measured against. */
  readonly precision: string;
  /** On the task's metric. */
  readonly score: number;
  /** The higher the faster, in any unit that all candidates share (samples per second). */
  readonly speed: number;
}

export interface PrecisionRequest {
  /** One of them must be `fp32`. */
  readonly candidates: readonly PrecisionCandidate[];
  /** How much worse than fp32 the score may be, in units of the score; 0 or more. */
  readonly tolerance: number;
  /** false for metrics that are errors. */
  readonly higherIsBetter: boolean;
}

export interface PrecisionChoice {
  readonly precision: string;
  /** What it loses against fp32; negative when it is better. */
  readonly loss: number;
  /** Its speed as a multiple of that of fp32. */
  readonly speedup: number;
  /** One sentence: why this one. */
  readonly reason: string;
}

/** Forgives what binary fractions do to a loss that is just the tolerance. */
const ROUNDING = 1e-9;

const show = (value: number): string => String(Number(value.toPrecision(4)));

function invalid(message: string): AppError {
  return new AppError('INPUT_INVALID', { message });
}

interface Measured extends PrecisionChoice {
  readonly fits: boolean;
}

function reasonFor(best: Measured, measured: readonly Measured[], tolerance: number): string {
  const tooLossy = measured.filter((other) => !other.fits && other.speedup > best.speedup);
  const lost = tooLossy.map((other) => `${other.precision} would lose ${show(other.loss)}`).join(' and ');
  const within = `the tolerance of ${show(tolerance)}`;
  if (best.precision === 'fp32') {
    if (lost !== '') return `fp32 stays, because ${lost}, more than ${within}.`;
    return measured.length === 1 ? 'fp32 is the only candidate.' : 'fp32 stays, because no other precision is faster.';
  }
  const loses = best.loss > 0 ? `loses ${show(best.loss)}, within ${within}` : 'loses nothing';
  return `${best.precision} is ${show(best.speedup)} times as fast as fp32 and ${loses}${lost === '' ? '' : `; ${lost}`}.`;
}

/**
 * The fastest precision whose score is worse than that of fp32 by no more than the tolerance. Of two that are equally
 * fast the better score wins, then the first. A score that is no number does not fit.
 *
 * @throws AppError INPUT_INVALID without exactly one fp32 candidate of finite score, with a speed that is not positive,
 *   or with a negative tolerance.
 */
export function choosePrecision({ candidates, tolerance, higherIsBetter }: PrecisionRequest): PrecisionChoice {
  const [base, another] = candidates.filter(({ precision }) => precision === 'fp32');
  if (!base || another || !Number.isFinite(base.score)) throw invalid('There must be one candidate fp32, with a finite score.');
  if (!(tolerance >= 0)) throw invalid(`The tolerance must be 0 or more, not ${tolerance}.`);
  const slow = candidates.find(({ speed }) => !(speed > 0 && Number.isFinite(speed)));
  if (slow) throw invalid(`The speed of ${slow.precision} must be a positive number, not ${slow.speed}.`);
  const slack = ROUNDING * Math.max(1, Math.abs(base.score));
  const measured = candidates.map(({ precision, score, speed }): Measured => {
    const loss = higherIsBetter ? base.score - score : score - base.score;
    return { precision, loss, speedup: speed / base.speed, reason: '', fits: loss <= tolerance + slack };
  });
  const fitting = measured.filter((candidate) => candidate.fits);
  const [best = { precision: 'fp32', loss: 0, speedup: 1, reason: '', fits: true }] = fitting.sort(
    (a, b) => b.speedup - a.speedup || a.loss - b.loss,
  );
  const { fits: _, ...choice } = best;
  return { ...choice, reason: reasonFor(best, measured, tolerance) };
}
