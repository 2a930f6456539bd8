import { expect, it } from 'vitest';
import reported from './fixtures/v1/reported-link.json' with { type: 'json' };
import { linkGrade, linkSeconds, linkStandingSchema, linkText } from './link.ts';

const link = linkStandingSchema.parse(reported.upkeep.link);
const steady = { ...link, reconnectsHour: 0, reconnectsDay: 0, unansweredPings: null };

it('says a link in a few words', () => {
  expect(linkText(link)).toBe('12 ms, 3.1 MB/s, 2 reconnects/h, Wi-Fi -61 dBm');
  expect(linkText({ ...steady, wifiDbm: null })).toBe('12 ms, 3.1 MB/s');
  expect(linkText({ ...link, rttMs: 0.41, downloadBytesPerS: 64_000, reconnectsHour: 0, wifiDbm: null })).toBe(
    '0.4 ms, 64 kB/s, 5 reconnects/d',
  );
  expect(linkText({ ...steady, downloadBytesPerS: null, wifiDbm: null })).toBe('12 ms');
});

it('is compared by what an update of 10 MiB takes', () => {
  expect(linkSeconds(steady)).toBeCloseTo(20 * 0.0124 + 10_485_760 / 3_100_000, 9);
  expect(linkSeconds({ ...steady, downloadBytesPerS: null })).toBeCloseTo((20 + 160) * 0.0124, 9);
  expect(linkSeconds({ ...steady, reconnectsHour: 2 })).toBeCloseTo(3 * linkSeconds(steady), 9);
  expect(linkSeconds({ ...steady, unansweredPings: 0.5 })).toBeCloseTo(2 * linkSeconds(steady), 9);
  expect(linkSeconds({ ...steady, unansweredPings: 1, downloadBytesPerS: 0, rttMs: 0 })).toBeGreaterThan(1e7);
});

it('is good, fair or poor', () => {
  expect(linkGrade(steady)).toBe('good');
  expect(linkGrade({ ...steady, downloadBytesPerS: 500_000 })).toBe('fair');
  expect(linkGrade({ ...steady, downloadBytesPerS: 64_000 })).toBe('poor');
});
