/** Paces a flow of bytes: over any span it passes no more than the rate times the span, and one burst. */
export class TokenBucket {
  readonly #bytesPerS: number;
  readonly #burstBytes: number;
  #tokens: number;
  #atMs: number;

  /** @param burstBytes - what may pass at once after a pause; default what passes in a fifth of a second. */
  constructor(bytesPerS: number, nowMs: number, burstBytes: number = bytesPerS / 5) {
    this.#bytesPerS = bytesPerS;
    this.#burstBytes = burstBytes;
    this.#tokens = burstBytes;
    this.#atMs = nowMs;
  }

  /** Takes the bytes on account. @returns how long to wait before the next ones, in milliseconds. */
  take(bytes: number, nowMs: number): number {
    const earned = (Math.max(0, nowMs - this.#atMs) / 1000) * this.#bytesPerS;
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + earned) - bytes;
    this.#atMs = Math.max(this.#atMs, nowMs);
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#bytesPerS) * 1000);
  }
}
