import { describe, expect, it } from 'vitest';
import { lookAtDataset, lookAtMetric, lookAtSchedule } from './trigger-plan.ts';

/** Every full hour. */
const hourly = (iso: string) => new Date((Math.floor(Date.parse(iso) / 3_600_000) + 1) * 3_600_000).toISOString();
const at = (time: string) => `2026-01-01T${time}.000Z`;

describe('a schedule', () => {
  it('begins to watch, waits, and fires when its time has come', () => {
    expect(lookAtSchedule('skip', null, at('10:20:00'), hourly)).toEqual({ cursor: at('10:20:00'), event: null });
    expect(lookAtSchedule('skip', at('10:20:00'), at('10:59:59'), hourly).event).toBeNull();
    expect(lookAtSchedule('skip', at('10:20:00'), at('11:00:01'), hourly)).toEqual({
      cursor: at('11:00:01'),
      event: `scheduled for ${at('11:00:00')}`,
    });
    expect(lookAtSchedule('skip', at('11:00:01'), at('11:00:02'), hourly).event).toBeNull();
  });

  it('after downtime skips what it missed, or makes up for it once', () => {
    expect(lookAtSchedule('skip', at('10:20:00'), at('15:30:00'), hourly).event).toBeNull();
    expect(lookAtSchedule('once', at('10:20:00'), at('15:30:00'), hourly)).toEqual({
      cursor: at('15:30:00'),
      event: `scheduled for ${at('11:00:00')}, made up for after downtime`,
    });
    // the newest of them is on time
    expect(lookAtSchedule('skip', at('10:20:00'), at('15:00:03'), hourly).event).toBe(`scheduled for ${at('15:00:00')}`);
  });

  it('that never comes does nothing', () => {
    expect(lookAtSchedule('once', at('10:20:00'), at('15:30:00'), () => null)).toEqual({ cursor: at('10:20:00'), event: null });
  });
});

describe('a dataset', () => {
  it('fires for versions that come after watching began', () => {
    expect(lookAtDataset('d', null, 3)).toEqual({ cursor: '3', event: null });
    expect(lookAtDataset('d', '3', 3).event).toBeNull();
    expect(lookAtDataset('d', '3', 5)).toEqual({ cursor: '5', event: 'd version 5 is ready' });
    expect(lookAtDataset('d', '5', 4)).toEqual({ cursor: '5', event: null });
  });
});

describe('a metric', () => {
  const metric = { name: 'accuracy', below: 0.9 };
  it('fires when it goes over to the wrong side, and not again while it stays there', () => {
    expect(lookAtMetric(metric, null, { value: 0.95, run: 'r-1' })).toEqual({ cursor: 'inside', event: null });
    const over = lookAtMetric(metric, 'inside', { value: 0.8, run: 'r-2' });
    expect(over).toEqual({ cursor: 'outside', event: 'accuracy of r-2 is 0.8, below 0.9' });
    expect(lookAtMetric(metric, 'outside', { value: 0.7, run: 'r-3' }).event).toBeNull();
    expect(lookAtMetric(metric, 'outside', { value: 0.92, run: 'r-4' }).cursor).toBe('inside');
    expect(lookAtMetric(metric, 'outside', undefined)).toEqual({ cursor: 'outside', event: null });
  });
});
