import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lookAtWindows } from './maintenance-windows.ts';

/** 2026-03-04 was a Wednesday. */
const at = (time: string, day = '2026-03-04') => Date.parse(`${day}T${time}:00Z`);

describe('lookAtWindows', () => {
  it('is open at any time without windows', () => {
    expect(lookAtWindows([], 0)).toEqual({ isOpen: true, opensAtMs: null, unknownZones: [] });
  });

  it('opens and closes by the minute, and says when it opens next', () => {
    const night = [{ from: '02:30', to: '04:00' }];
    expect(lookAtWindows(night, at('02:29'))).toMatchObject({ isOpen: false, opensAtMs: at('02:30') });
    expect(lookAtWindows(night, at('02:30')).isOpen).toBe(true);
    expect(lookAtWindows(night, at('03:59')).isOpen).toBe(true);
    expect(lookAtWindows(night, at('04:00'))).toMatchObject({ isOpen: false, opensAtMs: at('02:30', '2026-03-05') });
  });

  it('goes past midnight, on the days on which it begins', () => {
    const friday = [{ from: '23:00', to: '01:00', days: [5] }];
    expect(lookAtWindows(friday, at('23:30', '2026-03-06')).isOpen).toBe(true);
    expect(lookAtWindows(friday, at('00:30', '2026-03-07')).isOpen).toBe(true);
    expect(lookAtWindows(friday, at('00:30', '2026-03-06'))).toMatchObject({ isOpen: false, opensAtMs: at('23:00', '2026-03-06') });
    expect(lookAtWindows(friday, at('01:00', '2026-03-07'))).toMatchObject({ isOpen: false, opensAtMs: at('23:00', '2026-03-13') });
  });

  it('counts in the local time of the zone, and in UTC where the zone is not known', () => {
    const berlin = [{ from: '02:00', to: '03:00', timeZone: 'Europe/Berlin' }];
    expect(lookAtWindows(berlin, at('01:30')).isOpen).toBe(true);
    expect(lookAtWindows(berlin, at('02:30')).isOpen).toBe(false);
    expect(lookAtWindows([{ from: '02:00', to: '03:00', timeZone: 'Mars/Olympus' }], at('02:30'))).toMatchObject({
      isOpen: true,
      unknownZones: ['Mars/Olympus'],
    });
  });

  it('is open at the moment that it names, and not before', () => {
    const time = fc
      .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
      .map((parts) => parts.map((part) => String(part).padStart(2, '0')).join(':'));
    const window = fc.record({ from: time, to: time, days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }) });
    fc.assert(
      fc.property(fc.array(window, { minLength: 1, maxLength: 3 }), fc.integer({ min: 0, max: 60 * 24 * 30 }), (windows, minute) => {
        const nowMs = at('00:00') + minute * 60_000;
        const { isOpen, opensAtMs } = lookAtWindows(windows, nowMs);
        if (isOpen) return;
        expect(opensAtMs).toBeGreaterThan(nowMs);
        expect(lookAtWindows(windows, opensAtMs!).isOpen).toBe(true);
        expect(lookAtWindows(windows, opensAtMs! - 60_000).isOpen).toBe(false);
      }),
    );
  });
});
