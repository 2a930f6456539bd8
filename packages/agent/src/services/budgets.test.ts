import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Budgets, type BudgetsOptions, type DayCount } from './budgets.ts';

const NOON = Date.UTC(2026, 2, 4, 12);
const DAY = 86_400_000;

function setUp(options: Partial<BudgetsOptions> = {}) {
  const state = { now: NOON, bytes: 0, link: 'unknown' as 'metered' | 'unmetered' | 'unknown', kept: [] as DayCount[], changes: 0 };
  const budgets = new Budgets({
    limits: { trafficBytes: 1000, diskBytes: null, memoryBytes: null, cpus: null, deferKept: false, inEffect: [] },
    takeBytes: () => {
      const { bytes } = state;
      state.bytes = 0;
      return bytes;
    },
    counted: undefined,
    keep: async (count) => void state.kept.push(count),
    isMetered: async () => state.link === 'metered',
    isUnmetered: async () => state.link === 'unmetered',
    diskBytes: async () => 17,
    clock: () => state.now,
    onChange: () => {
      state.changes += 1;
    },
    ...options,
  });
  return { state, budgets };
}

describe('budgets', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('let what is not urgent wait until the next day of UTC, and count on over a restart', async () => {
    const { state, budgets } = setUp();
    state.bytes = 999;
    expect(await budgets.waitOf('new')).toBeNull();
    state.bytes = 1;
    expect(await budgets.waitOf('new')).toMatchObject({ reason: 'traffic', untilAt: '2026-03-05T00:00:00.000Z' });
    expect(await budgets.trafficWait()).toMatchObject({ message: expect.stringContaining('a day is used up') });
    expect(state.changes).toBe(1);
    expect(budgets.known()).toMatchObject({ trafficBytes: 1000, trafficBudgetBytes: 1000, waits: { reason: 'traffic' } });
    await budgets.save(true);
    const again = setUp({ counted: state.kept.at(-1) });
    expect(again.budgets.isUsedUp).toBe(true);
    again.state.now += DAY / 2;
    expect(await again.budgets.waitOf('new')).toBeNull();
    expect(again.budgets.known()).toMatchObject({ trafficBytes: 0, waits: null });
  });

  it('hold nothing back over a link that the system says is not metered', async () => {
    const { state, budgets } = setUp();
    state.bytes = 5000;
    expect(await budgets.trafficWait()).not.toBeNull();
    state.link = 'unmetered';
    await vi.advanceTimersByTimeAsync(61_000);
    expect(await budgets.trafficWait()).toBeNull();
    expect(budgets.known().waits).toBeNull();
  });

  it('defer what was kept, and only that, while the link is metered', async () => {
    const limits = { trafficBytes: null, diskBytes: null, memoryBytes: null, cpus: null, deferKept: true, inEffect: [] };
    const { state, budgets } = setUp({ limits });
    state.link = 'metered';
    expect(await budgets.waitOf('kept')).toMatchObject({ reason: 'metered', untilAt: null });
    expect(await budgets.waitOf('new')).toBeNull();
    expect(budgets.known().waits?.reason).toBe('metered');
    state.link = 'unknown';
    await vi.advanceTimersByTimeAsync(61_000);
    expect(await budgets.waitOf('kept')).toBeNull();
    expect(state.changes).toBe(2);
  });

  it('are kept when it is worth a write', async () => {
    const { state, budgets } = setUp();
    state.bytes = 1000;
    await budgets.save();
    expect(state.kept).toEqual([]);
    state.bytes = 300_000;
    await budgets.save();
    expect(state.kept).toEqual([{ day: '2026-03-04', bytes: 301_000 }]);
    state.bytes = 1;
    await vi.advanceTimersByTimeAsync(1_900_000);
    await budgets.save();
    expect(state.kept.at(-1)?.bytes).toBe(301_001);
  });
});
