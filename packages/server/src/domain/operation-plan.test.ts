import type { OperationDevice } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { newOperationStatus, type OperationSituation, overallState, planOperation } from './operation-plan.ts';

const AT = Date.parse('2026-01-01T00:00:00.000Z');
const EXPIRES = '2026-01-01T01:00:00.000Z';

function situation(change: Partial<OperationSituation> = {}): OperationSituation {
  return { nowMs: AT, isKnown: () => true, isConnected: () => true, isReady: () => true, graceUntilMs: 0, ...change };
}

function devices(...states: OperationDevice['state'][]): OperationDevice[] {
  const { devices: made } = newOperationStatus(states.map((_, index) => `edge-${index + 1}`));
  return made.map((one, index) => ({ ...one, state: states[index] ?? one.state }));
}

describe('planOperation', () => {
  it('begins on as many devices as may run at one time, in order', () => {
    const spec = { parallel: 2, wait: false, expiresAt: EXPIRES };
    const { steps, wakeAtMs } = planOperation(spec, devices('running', 'waiting', 'waiting'), situation());
    expect(steps).toEqual([{ type: 'begin', device: 'edge-2' }]);
    expect(wakeAtMs).toBe(Date.parse(EXPIRES));
  });

  it('fails a device that is not connected at once, unless it is to be waited for', () => {
    const offline = situation({ isConnected: () => false, isReady: () => false });
    const spec = { parallel: 2, wait: false, expiresAt: EXPIRES };
    expect(planOperation(spec, devices('waiting'), offline).steps).toMatchObject([{ type: 'fail', code: 'DEVICE_OFFLINE' }]);
    expect(planOperation({ ...spec, wait: true }, devices('waiting'), offline)).toEqual({ steps: [], wakeAtMs: Date.parse(EXPIRES) });
  });

  it('gives devices time to come back after the server was away', () => {
    const away = situation({ isConnected: () => false, isReady: () => false, graceUntilMs: AT + 1000 });
    const spec = { parallel: 2, wait: false, expiresAt: EXPIRES };
    expect(planOperation(spec, devices('waiting'), away)).toEqual({ steps: [], wakeAtMs: AT + 1000 });
    expect(planOperation(spec, devices('waiting'), { ...away, nowMs: AT + 1000 }).steps).toMatchObject([{ code: 'DEVICE_OFFLINE' }]);
  });

  it('waits for a device that is connected but does not hear yet', () => {
    const spec = { parallel: 2, wait: false, expiresAt: EXPIRES };
    expect(planOperation(spec, devices('waiting'), situation({ isReady: () => false })).steps).toEqual([]);
  });

  it('fails what has not begun when time is up, and what was removed', () => {
    const spec = { parallel: 1, wait: true, expiresAt: EXPIRES };
    const late = situation({ nowMs: Date.parse(EXPIRES), isConnected: (device) => device === 'edge-2' });
    const { steps } = planOperation(spec, devices('waiting', 'waiting', 'running'), late);
    expect(steps).toMatchObject([
      { device: 'edge-1', code: 'DEVICE_OFFLINE' },
      { device: 'edge-2', code: 'TIMEOUT' },
    ]);
    expect(planOperation(spec, devices('waiting'), situation({ isKnown: () => false })).steps).toMatchObject([{ code: 'NOT_FOUND' }]);
  });
});

describe('overallState', () => {
  it.each([
    [['waiting', 'waiting'], 'waiting'],
    [['waiting', 'succeeded'], 'running'],
    [['running', 'failed'], 'running'],
    [['succeeded', 'succeeded'], 'succeeded'],
    [['succeeded', 'failed'], 'failed'],
    [['failed', 'cancelled'], 'cancelled'],
  ] as const)('of %j is %s', (states, expected) => {
    expect(overallState(devices(...states))).toBe(expected);
  });
});
