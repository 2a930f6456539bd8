import { describe, expect, it } from 'vitest';
import { sample } from '../testing/fixture-curves.ts';
import { device, FixtureClock, inferenceModel, workload } from '../testing/fixture-resources.ts';
import { emptyWorld, fullWorld } from '../testing/fixture-world.ts';
import { nextOrder, sortRows } from '../ui/table-order.ts';
import { recentActivity } from './activity.ts';
import { deploymentDocument } from './deployment.ts';
import { readScores } from './inference.ts';
import { formatSelector, matchesLabels, parseSelector } from './labels.ts';
import { appendText, type LogState, MAX_LOG_LINES } from './log.ts';
import { loopOf } from './loop.ts';
import { stepBars } from './run-times.ts';
import { deploymentStatus, deviceStatus } from './status.ts';
import { rateOf } from './telemetry.ts';

const clock = new FixtureClock(1_790_000_000_000);

function sourcesOf(world: ReturnType<typeof fullWorld>) {
  const { resources } = world;
  return {
    datasets: resources.filter((r) => r.kind === 'Dataset'),
    datasetVersions: resources.filter((r) => r.kind === 'DatasetVersion'),
    runs: resources.filter((r) => r.kind === 'Run'),
    models: resources.filter((r) => r.kind === 'Model'),
    modelVersions: resources.filter((r) => r.kind === 'ModelVersion'),
    devices: resources.filter((r) => r.kind === 'Device'),
    deployments: resources.filter((r) => r.kind === 'InferenceModel'),
  };
}

describe('the overview', () => {
  it('shows the newest thing at each station and where something moves', () => {
    const loop = loopOf(sourcesOf(fullWorld(clock.nowMs)));
    expect(loop.run).toMatchObject({ name: 'digits', detail: 'train, 36 %', status: { tone: 'busy' } });
    expect(loop.model).toMatchObject({ name: 'digits/3', status: { text: 'Served' } });
    expect(loop.devices).toMatchObject({ name: '6 of 7 online', status: { tone: 'bad', text: '2 problems' } });
    expect(loop.flows).toEqual({ toRun: false, toModel: true, toDevices: true });
  });

  it('says what is missing on a new server', () => {
    const loop = loopOf(sourcesOf(emptyWorld(clock.nowMs)));
    expect([loop.dataset, loop.run, loop.model, loop.devices].map((stage) => stage.status)).toEqual([null, null, null, null]);
  });

  it('lists what happened, newest first', () => {
    const list = recentActivity(sourcesOf(fullWorld(clock.nowMs)), 100);
    expect(list.map((entry) => entry.at)).toEqual(
      list
        .map((entry) => entry.at)
        .toSorted()
        .reverse(),
    );
    expect(new Set(list.map((entry) => entry.id)).size).toBe(list.length);
    expect(recentActivity(sourcesOf(fullWorld(clock.nowMs)), 3)).toHaveLength(3);
  });
});

describe('states', () => {
  it('takes the worst of a device', () => {
    const failing = workload('digits', { state: 'failed' });
    expect(deviceStatus(device('a', clock, 0, {}, { workloads: [failing] })).text).toBe('Trouble');
    expect(deviceStatus(device('a', clock, 0, {}, { workloads: [failing], online: false })).text).toBe('Offline');
    expect(deviceStatus(device('a', clock, 0, {}, { conflict: { instances: [], since: clock.ago(1) } })).text).toBe('Conflict');
  });

  it('calls a deployment serving only when every device serves the resolved version', () => {
    const at = (servingVersion: string) => ({ device: 'a', state: 'serving' as const, servingVersion, url: null, message: '' });
    expect(deploymentStatus(inferenceModel('d', clock.ago(1), {}, { devices: [at('3'), at('2')] })).text).toBe('1 of 2');
    expect(deploymentStatus(inferenceModel('d', clock.ago(1), {}, { devices: [at('3'), at('3')] })).tone).toBe('ok');
  });
});

describe('deploymentDocument', () => {
  it('keeps what is not asked about when a deployment is changed', () => {
    const existing = inferenceModel('d', clock.ago(1), { servingPort: 8080, replicas: 2, nodeName: 'edge-1' }, { devices: [] });
    const { spec } = deploymentDocument({ name: 'd', model: 'digits', version: '2', selector: { site: 'lab' } }, existing);
    expect(spec).toEqual({
      modelName: 'digits',
      deployToLayer: 'edge',
      frameworkType: 'onnx',
      servingPort: 8080,
      replicas: 2,
      targetVersion: '2',
      nodeSelector: { site: 'lab' },
    });
  });
});

describe('label selectors', () => {
  it('reads pairs between commas and blanks, and writes them again', () => {
    const read = parseSelector(' site=lab,  role=camera ');
    expect(read).toEqual({ ok: true, labels: { site: 'lab', role: 'camera' } });
    if (read.ok) expect(formatSelector(read.labels)).toBe('site=lab,role=camera');
    expect(parseSelector('')).toEqual({ ok: true, labels: {} });
  });

  it('says what is wrong', () => {
    expect(parseSelector('site')).toMatchObject({ ok: false });
    expect(parseSelector('site=not valid!')).toMatchObject({ ok: false });
    expect(parseSelector('si te!=x')).toMatchObject({ ok: false });
  });

  it('matches when every wanted label is there', () => {
    expect(matchesLabels({ site: 'lab', line: '4' }, { site: 'lab' })).toBe(true);
    expect(matchesLabels({ site: 'gate' }, { site: 'lab' })).toBe(false);
    expect(matchesLabels({}, {})).toBe(true);
  });
});

describe('tables', () => {
  it('sorts numbers in names by value and puts what is missing last, both ways', () => {
    const rows = ['edge-10', null, 'edge-9'];
    expect(sortRows(rows, (row) => row, 'ascending')).toEqual(['edge-9', 'edge-10', null]);
    expect(sortRows(rows, (row) => row, 'descending')).toEqual(['edge-10', 'edge-9', null]);
  });

  it('turns round when the same column is pressed again', () => {
    const first = nextOrder(undefined, 'cpu', 'descending');
    expect(first).toEqual({ column: 'cpu', direction: 'descending' });
    expect(nextOrder(first, 'cpu', 'descending').direction).toBe('ascending');
    expect(nextOrder(first, 'name', 'ascending')).toEqual({ column: 'name', direction: 'ascending' });
  });
});

describe('logs, times and rates', () => {
  const empty: LogState = { lines: [], phase: 'reading', dropped: 0 };

  it('joins a line that came in two parts, and forgets the oldest beyond the limit', () => {
    const first = appendText(empty, '', 'one\ntw');
    const second = appendText(first.state, first.rest, 'o\r\nthree\n');
    expect(second.state.lines).toEqual(['one', 'two', 'three']);
    const long = appendText(empty, '', 'x\n'.repeat(MAX_LOG_LINES + 7)).state;
    expect([long.lines.length, long.dropped]).toEqual([MAX_LOG_LINES, 7]);
  });

  it('puts steps on one time axis', () => {
    const run = sourcesOf(fullWorld(clock.nowMs)).runs.find((entry) => entry.status.phase === 'Succeeded');
    const bars = stepBars(run?.status.steps ?? [], clock.nowMs);
    const last = bars.at(-1);
    expect(bars[0]?.offset).toBe(0);
    expect((last?.offset ?? 0) + (last?.length ?? 0)).toBeCloseTo(1);
  });

  it('gives no rate across a reboot', () => {
    const samples = [100, 400, 50].map((networkRxBytes, index) => ({ ...sample(index * 10_000, 0), networkRxBytes }));
    expect(rateOf(samples, 'networkRxBytes').y).toEqual([30, null]);
  });
});

describe('readScores', () => {
  it('reads classes best first, and nothing from boxes', () => {
    expect(
      readScores({
        topk: [
          { label: 'b', score: 0.2 },
          { label: 'a', score: 0.8 },
        ],
      }).map((entry) => entry.label),
    ).toEqual(['a', 'b']);
    expect(readScores({ top: { index: 3, probability: 0.5 } })).toEqual([{ label: '3', score: 0.5 }]);
    expect(readScores({ boxes: [] })).toEqual([]);
  });
});
