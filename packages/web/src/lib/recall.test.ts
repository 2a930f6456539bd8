import type { RecallView } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { FixtureClock, modelVersion } from '../testing/fixture-resources.ts';
import { rollouts } from '../testing/fixture-rollouts.ts';
import { recallCommand, recallTargets, rolloutSince } from './recall.ts';

const clock = new FixtureClock(1_790_000_000_000);
const version = (model: string, number: string, minutes: number) => modelVersion(model, number, clock.ago(minutes), 'r', 0.9, 0);

describe('recallTargets', () => {
  const versions = [version('digits', '1', 30), version('digits', '2', 20), version('digits', '3', 10), version('gate', '1', 5)];
  const view = (change: Partial<RecallView>): RecallView => ({
    versions: [{ model: 'digits', version: '2' }],
    deployments: [{ name: 'digits', model: 'digits', wanted: '2' }],
    devices: [],
    ...change,
  });
  const names = (change: Partial<RecallView>) => recallTargets(view(change), versions).map(({ spec }) => spec.version);

  test('are the versions that are not recalled, newest first', () => expect(names({})).toEqual(['3', '1']));

  test('exist of every model that is deployed', () => {
    const both = [
      { name: 'digits', model: 'digits', wanted: '2' },
      { name: 'gate', model: 'gate', wanted: '1' },
    ];
    expect(names({ deployments: both })).toEqual(['1']);
    expect(names({ deployments: both, versions: [{ model: 'gate', version: '1' }] })).toEqual([]);
    expect(names({ deployments: [] })).toEqual([]);
  });
});

describe('recallCommand', () => {
  test('names what is recalled as the command line does', () => {
    expect(recallCommand({ dataset: 'digits', datasetVersion: 2 })).toBe('selvedge recall --dataset digits@2');
    expect(recallCommand({ model: 'digits', modelVersion: '3' }, '2')).toBe('selvedge recall --model digits:3 --to 2 --yes');
    expect(recallCommand({ run: 'digits-7' })).toBe('selvedge recall --run digits-7');
  });
});

describe('rolloutSince', () => {
  test('is the newest one, once it is of that generation', () => {
    const all = rollouts(clock).flatMap((one) => (one.kind === 'Rollout' ? [one] : []));
    expect(rolloutSince(all, 'digits', 2)?.metadata.name).toBe('digits-2');
    expect(rolloutSince(all, 'digits', 3)).toBeUndefined();
    expect(rolloutSince(all, 'other', 1)).toBeUndefined();
  });
});
