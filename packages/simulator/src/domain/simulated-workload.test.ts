import type { DesiredWorkload } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { judged, newWorkload, reportOf, switched, withDesired } from './simulated-workload.ts';

const NOW = '2031-01-02T03:04:05.000Z';
const order = (version: string, trial?: DesiredWorkload['trial']): DesiredWorkload => ({
  name: 'digits',
  kind: 'model-server',
  model: 'digits',
  version,
  manifest: { sha256: 'a'.repeat(64), sizeBytes: 1 },
  servingPort: 0,
  ...(trial === undefined ? {} : { trial }),
});
const trial = { id: 'digits-1/1', mode: 'serve' as const, durationS: 10, minRequests: 0, gates: { errorRate: 0.05 } };
const serving = switched(newWorkload(order('1')), NOW);

describe('a simulated workload', () => {
  it('serves what it served while a new version is on its way', () => {
    const ordered = withDesired(serving, order('2'));
    expect(reportOf(ordered)).toMatchObject({ desiredVersion: '2', servingVersion: '1', state: 'pending' });
  });

  it('goes back to the version of before when its trial fails, and says by which gate', () => {
    const onTrial = switched(withDesired(serving, order('2', trial)), NOW);
    expect(reportOf(onTrial)).toMatchObject({ servingVersion: '2', previousVersion: '1', trial: { id: trial.id, state: 'running' } });
    const report = reportOf(judged(onTrial, false, NOW));
    expect(report).toMatchObject({
      servingVersion: '1',
      state: 'failed',
      trial: { state: 'failed', failure: { code: 'WORKLOAD_FAILED' } },
    });
    expect(report.trial?.checks).toEqual([expect.objectContaining({ gate: 'errorRate', bar: 0.05, passed: false })]);
  });

  it('stays on the new version when its trial passes', () => {
    const passed = judged(switched(withDesired(serving, order('2', trial)), NOW), true, NOW);
    expect(reportOf(passed)).toMatchObject({ servingVersion: '2', state: 'serving', trial: { state: 'passed', failure: null } });
  });
});
