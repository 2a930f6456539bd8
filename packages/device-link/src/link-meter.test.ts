import { linkStandingSchema } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LinkMeter } from './link-meter.ts';

const MINUTE_MS = 60_000;

describe('LinkMeter', () => {
  const meterAt = () => {
    const now = { ms: 0 };
    return { now, meter: new LinkMeter(() => now.ms) };
  };

  it('says nothing before the first round trip, then the median and the 95th percentile of the last ones', () => {
    const { meter } = meterAt();
    expect(meter.standing()).toBeUndefined();
    for (let at = 0; at < 100; at += 1) meter.answered(5000); // long ago: forgotten
    for (let ms = 1; ms <= 32; ms += 1) meter.answered(ms);
    expect(meter.standing()).toMatchObject({ rttMs: 16, rttP95Ms: 31, samples: 32, unansweredPings: null, downloadBytesPerS: null });
  });

  it('counts connections after the first, of the last hour and the last day', () => {
    const { now, meter } = meterAt();
    meter.answered(1);
    for (let minute = 0; minute <= 120; minute += 30) {
      now.ms = minute * MINUTE_MS;
      meter.connected();
    }
    expect(meter.standing()).toMatchObject({ reconnectsHour: 2, reconnectsDay: 4, watchedS: 7200 });
    now.ms += 24 * 60 * MINUTE_MS;
    expect(meter.standing()).toMatchObject({ reconnectsHour: 0, reconnectsDay: 0, watchedS: 86_400 });
  });

  it('knows the share of pings that were never answered, a day back', () => {
    const { now, meter } = meterAt();
    meter.answered(1);
    for (let ping = 0; ping < 200; ping += 1) {
      now.ms += MINUTE_MS;
      meter.pinged();
    }
    meter.unanswered();
    expect(meter.standing()?.unansweredPings).toBe(0.005);
    now.ms += 25 * 60 * MINUTE_MS;
    expect(meter.standing()?.unansweredPings).toBeNull();
  });

  it('takes the rate of the last downloads together, and none of what is small', () => {
    const { meter } = meterAt();
    meter.answered(1);
    meter.downloaded(1000, 1);
    expect(meter.standing()?.downloadBytesPerS).toBeNull();
    meter.downloaded(1_000_000, 1000);
    meter.downloaded(3_000_000, 1000);
    expect(meter.standing()?.downloadBytesPerS).toBe(2_000_000);
  });

  it('stays within its schema and its memory whatever happens', () => {
    const event = fc.oneof(
      fc.double({ min: 0, max: 1e6, noNaN: true }).map((ms) => (meter: LinkMeter) => meter.answered(ms)),
      fc.constant((meter: LinkMeter) => meter.pinged()),
      fc.constant((meter: LinkMeter) => meter.unanswered()),
      fc.constant((meter: LinkMeter) => meter.connected()),
      fc.tuple(fc.nat(1e9), fc.nat(1e6)).map(
        ([bytes, ms]) =>
          (meter: LinkMeter) =>
            meter.downloaded(bytes, ms),
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.nat(1e8)), { maxLength: 200 }), (events) => {
        const { now, meter } = meterAt();
        for (const [act, ms] of events) {
          now.ms += ms;
          act(meter);
        }
        const standing = meter.standing();
        if (standing !== undefined) expect(linkStandingSchema.parse(standing)).toEqual(standing);
      }),
    );
  });
});
