import type { ResultSummary, WorkloadReport } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { describe, expect, it } from 'vitest';
import { ModelMetrics } from '../model-server/metrics.ts';
import type { ModelProcess } from '../ports/model-process.ts';
import { ResultsWatch } from './results-watch.ts';

function setUp() {
  const state = {
    now: 1_800_000_000_000,
    metrics: new ModelMetrics('fruit', '1'),
    version: '1',
    trial: undefined as WorkloadReport['trial'],
  };
  let process: ModelProcess | undefined;
  const start = () => {
    state.metrics = new ModelMetrics('fruit', state.version);
    const { metrics } = state;
    process = { read: async () => metrics.text() } as unknown as ModelProcess;
  };
  start();
  const kept: ResultSummary[] = [];
  const watch = new ResultsWatch({
    workloads: () => [{ name: 'w', model: 'fruit', servingVersion: state.version, trial: state.trial } as unknown as WorkloadReport],
    serving: () => process,
    intervalMs: () => 300_000,
    clock: () => state.now,
    keep: (summary) => void kept.push(summary),
    log: createLogger({ name: 'test', level: 'error', write: () => undefined }),
  });
  const look = async (afterMs: number) => {
    state.now += afterMs;
    await watch.look();
  };
  const stop = () => {
    process = undefined;
  };
  return { state, kept, look, start, stop };
}

describe('what models answer', () => {
  it('is summed up per interval, over restarts of the process, and nothing is where nothing was asked', async () => {
    const { state, kept, look, start } = setUp();
    await look(0);
    for (let index = 0; index < 90; index += 1) state.metrics.observe(200, 0.01);
    for (let index = 0; index < 10; index += 1) state.metrics.observe(500, 0.5);
    state.metrics.observeConfidence(0.95);
    for (const label of ['pear', 'a "b"\\', 'pear']) state.metrics.observeClass(label);
    await look(60_000);
    start(); // crashed, started again
    state.metrics.observe(200, 0.1);
    state.metrics.observeClass('pear');
    await look(60_000);
    await look(180_000);
    expect(kept).toMatchObject([
      { at: new Date(1_800_000_000_000).toISOString(), spanS: 300, workload: 'w', model: 'fruit', version: '1', requests: 101, errors: 10 },
    ]);
    const [summary] = kept;
    expect(summary?.p50Ms).toBeCloseTo(9, 0);
    expect(summary?.confidence).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expect(summary?.classes).toEqual([
      ['pear', 3],
      ['a "b"\\', 1],
    ]);
    await look(300_000);
    await look(300_000);
    expect(kept).toHaveLength(1);
  });

  it('of a version ends with it; what its golden set was answered does not count', async () => {
    const { state, kept, look, start, stop } = setUp();
    state.metrics.observe(200, 0.01);
    await look(0);
    state.version = '2';
    state.trial = { version: '2' } as WorkloadReport['trial'];
    start();
    state.metrics.observe(200, 0.01); // its golden set
    await look(60_000);
    expect(kept).toMatchObject([{ version: '1', requests: 1, spanS: 60 }]);
    state.metrics.observe(200, 0.01);
    state.metrics.observe(200, 0.01);
    await look(60_000);
    stop();
    await look(60_000);
    expect(kept.slice(1)).toMatchObject([{ version: '2', requests: 2, spanS: 120 }]);
  });
});
