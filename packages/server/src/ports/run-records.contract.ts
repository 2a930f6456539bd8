import { describe, expect, it } from 'vitest';
import type { Store, TriggerState } from './store.ts';

const T0 = '2026-01-01T00:00:00.000Z';
const T1 = '2026-01-01T00:01:00.000Z';
const T2 = '2026-01-01T00:02:00.000Z';

/** What every Store keeps of steps and triggers; a part of the suite in store.contract.ts. */
export function describeRunRecords(store: () => Store): void {
  describe('step results', () => {
    it('are found by their key; a newer one replaces', async () => {
      const result = { key: 'a'.repeat(64), tool: 'train', artifact: 'r-1.train', run: 'r-1', step: 'train' };
      expect(await store().findStepResult(result.key)).toBeUndefined();
      await store().saveStepResult(result);
      await store().saveStepResult({ ...result, run: 'r-2', artifact: 'r-2.train' });
      expect(await store().findStepResult(result.key)).toEqual({ ...result, run: 'r-2', artifact: 'r-2.train' });
    });
  });

  describe('triggers', () => {
    const pending = { id: 'x', dueAt: T1, events: 1, detail: 'd', by: 'webhook' };

    it('have a state that is changed in one piece, also by many at once', async () => {
      expect(await store().readTriggerState('p', 't')).toBeUndefined();
      const more = (state: TriggerState): TriggerState => ({ ...state, pending: { ...pending, events: (state.pending?.events ?? 0) + 1 } });
      await Promise.all(Array.from({ length: 5 }, () => store().updateTriggerState('p', 't', more)));
      expect(await store().readTriggerState('p', 't')).toEqual({
        cursor: null,
        pending: { ...pending, events: 5 },
        lastFiredAt: null,
        lastRun: null,
      });
      await store().updateTriggerState('a', 'z', (state) => ({ ...state, cursor: '3' }));
      expect(await store().listTriggers()).toEqual([
        { pipeline: 'a', trigger: 'z' },
        { pipeline: 'p', trigger: 't' },
      ]);
    });

    it('are removed with their secret', async () => {
      await store().updateTriggerState('p', 't', (state) => state);
      await store().saveTriggerSecret('p', 't', 'one');
      await store().saveTriggerSecret('p', 't', 'two');
      expect(await store().readTriggerSecret('p', 't')).toBe('two');
      await store().deleteTrigger('p', 't');
      expect(await store().readTriggerSecret('p', 't')).toBeUndefined();
      expect(await store().listTriggers()).toEqual([]);
    });

    it('take a signature once, until it is forgotten', async () => {
      expect(await store().recordDelivery('s', T0, T0)).toBe(true);
      expect(await store().recordDelivery('s', T1, T0)).toBe(false);
      expect(await store().recordDelivery('s', T2, T1)).toBe(true);
    });
  });
}
