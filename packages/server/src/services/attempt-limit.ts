const MAX_KEYS = 10_000;

/** Counts failed attempts per key in fixed windows. Memory is bounded: the oldest keys are forgotten first. */
export class AttemptLimit {
  readonly #max: number;
  readonly #windowMs: number;
  readonly #clock: () => Date;
  readonly #attempts = new Map<string, { count: number; since: number }>();

  constructor(options: { max: number; windowMs: number; clock: () => Date }) {
    this.#max = options.max;
    this.#windowMs = options.windowMs;
    this.#clock = options.clock;
  }

  /** False while this key has failed too often. */
  allows(key: string): boolean {
    const entry = this.#attempts.get(key);
    if (entry === undefined || this.#clock().getTime() - entry.since >= this.#windowMs) return true;
    return entry.count < this.#max;
  }

  recordFailure(key: string): void {
    const now = this.#clock().getTime();
    const entry = this.#attempts.get(key);
    const fresh = entry === undefined || now - entry.since >= this.#windowMs;
    this.#attempts.delete(key);
    this.#attempts.set(key, fresh ? { count: 1, since: now } : { count: entry.count + 1, since: entry.since });
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > MAX_KEYS && oldest !== undefined) this.#attempts.delete(oldest);
  }
}
