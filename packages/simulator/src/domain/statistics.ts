/** @param share - 0..1. @returns the value below which that share of the sorted values lies; undefined of none. */
function quantile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

/** The last values of a measurement, bounded, and their quantiles. */
export class Sample {
  readonly #values: number[] = [];
  readonly #capacity: number;
  #next = 0;
  #count = 0;

  constructor(capacity = 20_000) {
    this.#capacity = capacity;
  }

  add(value: number): void {
    this.#count += 1;
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  /** `count` is of all, the quantiles of the last ones. */
  quantiles(): { count: number; p50: number; p99: number; max: number } | null {
    const sorted = this.#values.toSorted((a, b) => a - b);
    const [p50, p99, max] = [quantile(sorted, 0.5), quantile(sorted, 0.99), sorted.at(-1)];
    return p50 === undefined || p99 === undefined || max === undefined ? null : { count: this.#count, p50, p99, max };
  }
}

/** When an order arrived at each device. */
export class Arrivals {
  readonly #at = new Map<string, number>();

  /** The first arrival counts. */
  add(device: string, atMs: number): void {
    if (!this.#at.has(device)) this.#at.set(device, atMs);
  }

  summary(): { devices: number; firstAtMs: number; p50AtMs: number; p99AtMs: number; lastAtMs: number } {
    const sorted = [...this.#at.values()].sort((a, b) => a - b);
    return {
      devices: sorted.length,
      firstAtMs: sorted[0] ?? 0,
      p50AtMs: quantile(sorted, 0.5) ?? 0,
      p99AtMs: quantile(sorted, 0.99) ?? 0,
      lastAtMs: sorted.at(-1) ?? 0,
    };
  }
}
