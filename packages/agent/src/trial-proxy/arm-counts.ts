import { CONFIDENCE_BINS, confidenceBin, count, emptyHistogram, LATENCY_BOUNDS_MS, type Traffic } from '../domain/histogram.ts';

/** Counts of one version. */
export class ArmCounts {
  readonly #latencyMs = emptyHistogram(LATENCY_BOUNDS_MS);
  readonly #confidence = Array.from({ length: CONFIDENCE_BINS }, () => 0);
  #requests = 0;
  #errors = 0;
  #confidenceSum = 0;

  /** @param confidence - null when the result has none. */
  answered(latencyMs: number, confidence: number | null): void {
    this.#requests += 1;
    count(this.#latencyMs, latencyMs);
    if (confidence === null) return;
    const bin = confidenceBin(confidence);
    this.#confidence[bin] = (this.#confidence[bin] ?? 0) + 1;
    this.#confidenceSum += confidence;
  }

  /** No answer, or one with status 500 or above. */
  failed(): void {
    this.#requests += 1;
    this.#errors += 1;
  }

  /** The request was at fault. */
  refused(): void {
    this.#requests += 1;
  }

  traffic(): Traffic {
    return {
      requests: this.#requests,
      errors: this.#errors,
      latencyMs: this.#latencyMs,
      confidence: this.#confidence,
      confidenceSum: this.#confidenceSum,
    };
  }
}
