import type { ArtifactStatus, Package } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { builtPackage } from '../testing/built-package.ts';
import { NEW_PACKAGE_STATUS, planPackage } from './package-plan.ts';

const fresh: Package = { ...builtPackage('p'), status: NEW_PACKAGE_STATUS };
const artifact = (change: Partial<ArtifactStatus>): ArtifactStatus => ({
  status: 'queued',
  progress: 0,
  message: '',
  attempt: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  startedAt: null,
  finishedAt: null,
  error: null,
  ...change,
});
const plan = (change: Partial<ArtifactStatus>) => planPackage(fresh, { kind: 'present', status: artifact(change) });

describe('planPackage', () => {
  it('asks the tool, shows how it gets on, and collects what was made', () => {
    expect(planPackage(fresh, { kind: 'absent' }).map((action) => action.type)).toEqual(['show', 'request']);
    expect(plan({})).toEqual([{ type: 'show', change: { phase: 'Pending', progress: 0, message: 'queued' } }]);
    expect(plan({ status: 'in-progress', progress: 0.4, message: 'linking', attempt: 2 })).toEqual([
      { type: 'show', change: { phase: 'Building', progress: 0.4, message: 'attempt 2 after the tool ended unexpectedly: linking' } },
    ]);
    expect(plan({ status: 'completed' }).map((action) => action.type)).toEqual(['show', 'collect']);
  });

  it("fails with the tool's own error", () => {
    const error = { code: 'OP_UNSUPPORTED', message: 'no Foo', hint: 'Use another.' };
    expect(plan({ status: 'failed', error })).toEqual([{ type: 'fail', error }]);
    expect(plan({ status: 'failed', message: 'gone' })).toEqual([{ type: 'fail', error: { code: 'BUILD_FAILED', message: 'gone' } }]);
    expect(plan({ status: 'cancelled' })).toMatchObject([{ type: 'fail', error: { code: 'CANCELLED' } }]);
  });

  it('waits for a tool that is down', () => {
    expect(planPackage(fresh, { kind: 'unreachable', reason: 'restarting' })).toEqual([
      { type: 'show', change: { message: 'restarting' } },
    ]);
  });

  it('leaves a finished package alone until its spec changes', () => {
    const ready = builtPackage('p');
    expect(planPackage(ready, { kind: 'absent' })).toEqual([]);
    const changed = { ...ready, metadata: { ...ready.metadata, generation: 2 } };
    expect(planPackage(changed, { kind: 'absent' }).map((action) => action.type)).toEqual(['show', 'request']);
  });
});
