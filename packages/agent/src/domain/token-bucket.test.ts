import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

describe('TokenBucket', () => {
  it('lets a burst pass and then asks to wait as long as the bytes take at the rate', () => {
    const bucket = new TokenBucket(1000, 0, 200);
    expect(bucket.take(200, 0)).toBe(0);
    expect(bucket.take(500, 0)).toBe(500);
    expect(bucket.take(100, 500)).toBe(100);
    expect(bucket.take(200, 10_000)).toBe(0);
  });

  it('passes no more than rate times time and a burst, whoever waits as told', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1024, max: 1e8 }), fc.array(fc.integer({ min: 1, max: 1e6 }), { maxLength: 60 }), (rate, chunks) => {
        const bucket = new TokenBucket(rate, 0);
        let nowMs = 0;
        let passed = 0;
        for (const bytes of chunks) {
          passed += bytes;
          nowMs += bucket.take(bytes, nowMs);
          expect(passed).toBeLessThanOrEqual(rate * (nowMs / 1000) + rate / 5 + 1);
        }
      }),
    );
  });
});
