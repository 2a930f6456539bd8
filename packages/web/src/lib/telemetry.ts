import type { TelemetrySample } from '@selvedge/contract';

export interface RateSeries {
  /** Seconds since the epoch. */
  readonly x: number[];
  /** Bytes per second; null across a reboot or a gap in the counter. */
  readonly y: (number | null)[];
}

/** The rate of a counter since boot. A counter that falls (reboot) gives no rate for that interval. */
export function rateOf(samples: readonly TelemetrySample[], counter: 'networkRxBytes' | 'networkTxBytes'): RateSeries {
  const x: number[] = [];
  const y: (number | null)[] = [];
  let last: { at: number; value: number } | undefined;
  for (const sample of samples) {
    const at = Date.parse(sample.at) / 1000;
    const value = sample[counter];
    if (value !== null) {
      if (last !== undefined) {
        x.push(at);
        y.push(value >= last.value && at > last.at ? (value - last.value) / (at - last.at) : null);
      }
      last = { at, value };
    }
  }
  return { x, y };
}

/** One field over time, scaled; null where the device has no such sensor. */
export function seriesOf(
  samples: readonly TelemetrySample[],
  field: Exclude<keyof TelemetrySample, 'at' | 'summary'>,
  scale = 1,
): { x: number[]; y: (number | null)[] } {
  return {
    x: samples.map((sample) => Date.parse(sample.at) / 1000),
    y: samples.map((sample) => {
      const value = sample[field];
      return value === null ? null : value * scale;
    }),
  };
}
