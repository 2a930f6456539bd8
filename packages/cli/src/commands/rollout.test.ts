import { AppError, EXIT, type Rollout } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { CliBench } from '../testing/bench-cli.ts';
import type { Handlers } from '../testing/contract-server.ts';
import { DIGEST, metadata, modelVersion } from '../testing/sample-resources.ts';

const bench = new CliBench().install();
const AT = '2026-01-02T03:04:05.000Z';

function rollout(status: Partial<Rollout['status']> = {}): Rollout {
  const check = { gate: 'p95Ratio', value: 2.5, baseline: 12, bar: 1.3, passed: false, samples: 40 };
  const arm = { version: '2', requests: 40, errors: 1, p50Ms: 10, p95Ms: 30, meanConfidence: 0.9 };
  return {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Rollout',
    metadata: metadata('digits-3'),
    spec: {
      inferenceModel: 'digits',
      generation: 3,
      model: 'digits',
      fromVersion: '1',
      toVersion: '2',
      policy: { strategy: 'waves', waves: [1, '100%'], trial: { durationS: 60, minRequests: 0 } },
      cause: 'an edit of the InferenceModel (generation 3)',
    },
    status: {
      phase: 'failed',
      attempt: 1,
      wave: 0,
      waves: [{ index: 0, devices: 1, state: 'failed', startedAt: AT, finishedAt: AT, checks: [check], message: '1 of 1 devices failed' }],
      devices: [
        {
          device: 'cam-1',
          wave: 0,
          state: 'reverted',
          fromVersion: '1',
          releasedAt: AT,
          finishedAt: AT,
          checks: [check],
          arms: [arm],
          message: 'p95Ratio 2.5 > 1.3',
          revertedInMs: 80,
          transfer: { fetchedBytes: 12 * 2 ** 20, wholeBytes: 310 * 2 ** 20, sharedBytes: 10 * 2 ** 20, patchedBytes: 300 * 2 ** 20 },
        },
      ],
      message: 'Wave 1 failed: 1 of 1 devices failed, 0 may.',
      startedAt: AT,
      finishedAt: AT,
      golden: null,
      ...status,
    },
  };
}

const detail = {
  model: {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Model',
    metadata: metadata('digits'),
    spec: {},
    status: { aliases: { latest: '2' }, versions: ['1', '2'] },
  },
  versions: [modelVersion('digits', '2', { sha256: DIGEST, sizeBytes: 100 })],
};
const withRollout = (one: Rollout): Handlers => ({
  getModel: () => detail,
  listResources: ({ params }) => ({ items: params.plural === 'rollouts' ? [one] : [], next: null }),
  getResource: ({ params }) => {
    if (params.plural === 'rollouts' && params.name === 'digits-3') return one;
    throw new AppError('NOT_FOUND', { message: 'none' });
  },
});

describe('rollout', () => {
  test('show prints waves, devices, gates with their numbers, and arms, of the newest one of an InferenceModel as well', async () => {
    await bench.serve(withRollout(rollout()));
    const { code, stdout } = await bench.call(['rollout', 'show', 'digits']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/cam-1\s+p95Ratio\s+2\.5\s+12\s+1\.3\s+40\s+failed/);
    expect(stdout).toMatch(/cam-1\s+1\s+reverted\s+1\s+12 MiB of 310 MiB \(4 %\)\s+80 ms/);
    expect(stdout).toMatch(/Sent\s+12 MiB of 310 MiB \(4 %\); 10 MiB were there, 300 MiB came as patches/);
    expect(stdout).toMatch(/cam-1\s+2\s+40\s+1\s+10\s+30\s+0\.9/);
  });

  test('list, and the verbs, name the rollout', async () => {
    const asked: unknown[] = [];
    await bench.serve({
      ...withRollout(rollout()),
      abortRollout: ({ params, body }) => {
        asked.push([params.name, body]);
        return rollout({ phase: 'reverting' });
      },
      retryRollout: ({ params }) => {
        asked.push([params.name]);
        return rollout({ phase: 'running' });
      },
    });
    expect((await bench.call(['rollout', 'list'])).stdout).toMatch(/digits-3\s+digits\s+digits:2\s+1\s+failed\s+1 of 1\s+0 of 1/);
    expect((await bench.call(['rollout', 'abort', 'digits', '--keep'])).stdout).toBe('Rollout/digits-3 reverting\n');
    expect((await bench.call(['rollout', 'retry', 'digits-3'])).stdout).toBe('Rollout/digits-3 running\n');
    expect(asked).toEqual([['digits-3', { keep: true }], ['digits-3']]);
  });
});

describe('deploy', () => {
  test('sends the policy, follows the rollout, and exits with 6 when it failed', async () => {
    const asked: unknown[] = [];
    await bench.serve({
      ...withRollout(rollout()),
      deployModel: ({ params, body }) => {
        asked.push([params.name, body]);
        return { inferenceModel: params.name, generation: 3, version: '2', action: 'configured' };
      },
    });
    const gates = ['--gate', 'p95Ratio<=1.3', '--gate', 'agreement>=0.95'];
    const outcome = await bench.call(['deploy', 'digits:latest', '--waves', '1,10%,100%', ...gates, '--trial', '5m', '--watch']);
    expect(outcome.code).toBe(EXIT.failed);
    expect(outcome.stderr).toContain('Rollout digits-3 failed: Wave 1 failed');
    const policy = { waves: [1, '10%', '100%'], trial: { durationS: 300 }, gates: { p95Ratio: 1.3, agreement: 0.95 } };
    expect(asked).toEqual([['digits', { model: 'digits', version: '2', rollout: policy }]]);
  });

  test('refuses waves that do not grow, with what would be right', async () => {
    await bench.serve(withRollout(rollout()));
    const outcome = await bench.call(['deploy', 'digits:2', '--waves', '10,5', '--order', 'link']);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain("The rollout's waves[1] must be more than 10 before it");
    expect(outcome.stderr).toContain('for 5 more devices write 15');
  });

  test('refuses what is no gate, with those that there are', async () => {
    await bench.serve(withRollout(rollout()));
    const outcome = await bench.call(['deploy', 'digits:2', '--gate', 'agreement<=0.9']);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain('it is written agreement>=NUMBER');
  });
});

describe('recall', () => {
  test('shows what runs anything made from a dataset, and changes nothing without --yes', async () => {
    const device = { device: 'cam-1', online: false, deployment: 'reader', state: 'serving' as const, model: 'digits', version: '2' };
    const view = {
      versions: [{ model: 'digits', version: '2' }],
      deployments: [{ name: 'reader', model: 'digits', wanted: '2' }],
      devices: [device],
    };
    await bench.serve({ findRecall: () => view });
    const shown = await bench.call(['recall', '--dataset', 'digits@2']);
    expect(shown.stdout).toMatch(/cam-1\s+offline\s+digits:2\s+reader\s+serving/);
    const asked = await bench.call(['recall', '--dataset', 'digits@2', '--to', '1']);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain('This takes reader to version 1');
  });
});
