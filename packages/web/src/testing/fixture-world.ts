import { type AnyResource, anyResourceSchema, type MetricPoint, type Module, moduleSchema } from '@selvedge/contract';
import { bundle } from './fixture-bundles.ts';
import { metricPoints } from './fixture-curves.ts';
import { GATES, packages } from './fixture-packages.ts';
import * as make from './fixture-resources.ts';
import { rollouts } from './fixture-rollouts.ts';
import { taskComparison } from './fixture-tools.ts';
import { TRAINING_RESOURCES } from './fixture-training.ts';

export interface FixtureWorld {
  readonly clock: make.FixtureClock;
  readonly resources: AnyResource[];
  readonly modules: Module[];
  readonly metrics: Map<string, MetricPoint[]>;
}

export const RUNNING_RUN = 'digits-7f3k2';
export const OPERATION = 'op-20260102-101500-a1b2c3';
const LONG_NAME = 'warehouse-north.line-4.camera-over-the-conveyor-belt-left-side-second-unit';
const EPOCHS_SO_FAR = 9;

/** A small shop floor with some of everything, checked against the contract. */
export function fullWorld(nowMs: number): FixtureWorld {
  const clock = new make.FixtureClock(nowMs);
  const resources = [
    ...data(clock),
    ...runs(clock),
    ...registry(clock),
    ...packages(clock),
    ...fleet(clock),
    ...deployments(clock),
    bundle('bundle-20260102-101500-a1b2c3', clock.ago(90), clock.ago(-43_200), ['edge-1', 'old-scanner']),
    make.operation(OPERATION, clock.ago(2), ['edge-1', 'edge-2', 'edge-3']),
    ...rollouts(clock),
  ];
  const metrics = new Map([
    [RUNNING_RUN, metricPoints(EPOCHS_SO_FAR, nowMs - 30_000)],
    ['digits-2b8xq', metricPoints(12, nowMs - 3_600_000)],
  ]);
  return { clock, resources: resources.map((resource) => anyResourceSchema.parse(resource)), modules: modules(clock), metrics };
}

/** A server that has just been started for the first time. */
export function emptyWorld(nowMs: number): FixtureWorld {
  const clock = new make.FixtureClock(nowMs);
  return { clock, resources: [], modules: modules(clock), metrics: new Map() };
}

function data(clock: make.FixtureClock): AnyResource[] {
  return [
    make.dataset('digits', clock.ago(4000), [1, 2]),
    make.datasetVersion('digits', 1, clock.ago(4000), 'Ready'),
    make.datasetVersion('digits', 2, clock.ago(90), 'Ready'),
    make.dataset('orchard', clock.ago(30), []),
    make.datasetVersion('orchard', 1, clock.ago(30), 'Failed'),
    make.task('org.example.digits', clock.ago(3950)),
    make.pipeline('digits', clock.ago(3900), 'digits', { task: 'org.example.digits', lastRun: RUNNING_RUN }),
    make.pipeline('fabric-defects', clock.ago(2000), 'fabric-defects', { task: 'org.example.digits', lastRun: 'fabric-defects-5tt2h' }),
  ];
}

function runs(clock: make.FixtureClock): AnyResource[] {
  const seconds = [2.4, 6.1, 1.2, 0.4, 41, 3.8, 0.3];
  return [
    make.run({
      name: 'digits-k4m1p',
      pipeline: 'digits',
      phase: 'Succeeded',
      startedAt: clock.ago(3800),
      seconds,
      modelVersion: 'digits/1',
    }),
    make.run({
      name: 'digits-9wz0c',
      pipeline: 'digits',
      phase: 'Succeeded',
      startedAt: clock.ago(1500),
      seconds,
      modelVersion: 'digits/2',
    }),
    make.run({
      name: 'fabric-defects-5tt2h',
      pipeline: 'fabric-defects',
      phase: 'Failed',
      startedAt: clock.ago(400),
      seconds: [2.2, 4.9],
      current: { progress: 0.4, message: 'The loss is no longer a finite number; lower the learning rate (epoch 3).' },
    }),
    make.run({ name: 'digits-pp81d', pipeline: 'digits', phase: 'Cancelled', startedAt: clock.ago(200), seconds: [2.3, 5.2] }),
    make.run({
      name: 'digits-2b8xq',
      pipeline: 'digits',
      phase: 'Succeeded',
      startedAt: clock.ago(62),
      seconds,
      modelVersion: 'digits/3',
      criteria: [...GATES.slice(0, 1), ...taskComparison('').pipelines.flatMap(({ best }) => best?.criteria.slice(1) ?? [])],
      resources: TRAINING_RESOURCES,
      cachedFrom: { run: 'digits-9wz0c', steps: ['import', 'process', 'export', 'split'] },
      spec: { sweepOf: { run: 'digits-s1ep0', index: 2 }, cause: { type: 'sweep', by: 'digits-s1ep0', detail: 'lr 0.002' } },
    }),
    make.run({
      name: 'digits-s1ep0',
      pipeline: 'digits',
      phase: 'Succeeded',
      startedAt: clock.ago(70),
      seconds: [],
      sweep: {
        children: [
          { run: 'digits-pp81d', parameters: { lr: 0.2 }, phase: 'Cancelled', value: null },
          { run: 'digits-2b8xq', parameters: { lr: 0.002 }, phase: 'Succeeded', value: 0.9783 },
        ],
        best: { run: 'digits-2b8xq', value: 0.9783 },
      },
    }),
    make.run({
      name: RUNNING_RUN,
      pipeline: 'digits',
      phase: 'Running',
      startedAt: clock.ago(0.7),
      seconds: [2.4, 6.1, 1.2, 0.4],
      current: { progress: 0.36, message: `epoch ${EPOCHS_SO_FAR} of 25` },
    }),
  ];
}

function registry(clock: make.FixtureClock): AnyResource[] {
  return [
    make.model('digits', clock.ago(3799), ['1', '2', '3']),
    make.modelVersion('digits', '1', clock.ago(3799), 'digits-k4m1p', 0.9512, 0),
    make.modelVersion('digits', '2', clock.ago(1499), 'digits-9wz0c', 0.9697, 1),
    make.modelVersion('digits', '3', clock.ago(61), 'digits-2b8xq', 0.9783, 4, { gates: GATES }),
    make.model('org.example.textile-inspection.weave-fault-classifier-large', clock.ago(900), ['1']),
    make.modelVersion('org.example.textile-inspection.weave-fault-classifier-large', '1', clock.ago(900), 'digits-9wz0c', 0.8814, 0),
  ];
}

function fleet(clock: make.FixtureClock): AnyResource[] {
  const site = { site: 'lab', role: 'camera' };
  const serving = make.workload('digits', { servingSince: clock.ago(58) });
  const failed = make.workload('digits', {
    state: 'failed',
    servingVersion: '2',
    restarts: 3,
    servingSince: clock.ago(1400),
    error: { code: 'DIGEST_MISMATCH', message: 'model.onnx does not have the expected sha256; version 2 keeps serving', at: clock.ago(12) },
  });
  const fetching = make.workload('digits', {
    state: 'fetching',
    servingVersion: null,
    previousVersion: null,
    progress: { doneBytes: 240_000, totalBytes: 414_436 },
    port: null,
  });
  const instances = [
    { instanceId: 'a81f00c2-53', address: '10.0.4.17', lastSeenAt: clock.ago(0.4) },
    { instanceId: 'e29b77d0-11', address: '10.0.9.3', lastSeenAt: clock.ago(0.2) },
  ];
  return [
    make.device('edge-1', clock, 0, site, {
      workloads: [
        serving,
        make.workload('fabric', { model: 'fabric-defects', servingVersion: '1', desiredVersion: '1', previousVersion: null, port: 8080 }),
      ],
    }),
    make.device('edge-2', clock, 1, site, { workloads: [serving] }),
    make.device('edge-3', clock, 2, { ...site, line: '4', shift: 'night', 'example.org/rack': 'b12' }, { workloads: [failed] }),
    make.device('gate-cam', clock, 3, { site: 'gate' }, { workloads: [fetching] }),
    make.device(
      'old-scanner',
      clock,
      4,
      { site: 'store' },
      { online: false, lastSeenAt: clock.ago(340), telemetry: null, workloads: [serving] },
    ),
    make.device('twin', clock, 5, site, { conflict: { instances, since: clock.ago(3) }, workloads: [serving] }),
    make.device(LONG_NAME, clock, 6, site, { workloads: [serving] }),
  ];
}

function deployments(clock: make.FixtureClock): AnyResource[] {
  const at = (device: string, state: 'serving' | 'failed' | 'fetching', servingVersion: string | null, message = '') => ({
    device,
    state,
    servingVersion,
    url: null,
    message,
  });
  return [
    make.inferenceModel(
      'digits',
      clock.ago(1400),
      { nodeSelector: { site: 'lab' }, targetVersion: 'latest' },
      {
        devices: [
          at('edge-1', 'serving', '3'),
          at('edge-2', 'serving', '3'),
          at('edge-3', 'failed', '2', 'model.onnx does not have the expected sha256'),
          at(LONG_NAME, 'serving', '3'),
        ],
      },
    ),
    make.inferenceModel(
      'digits-gate',
      clock.ago(2),
      { nodeSelector: { site: 'gate' }, targetVersion: '3' },
      { devices: [at('gate-cam', 'fetching', null)] },
    ),
  ];
}

function modules(clock: make.FixtureClock): Module[] {
  return [
    make.module('import', clock.ago(600)),
    make.module('process', clock.ago(600)),
    make.module('export', clock.ago(600)),
    make.module('split', clock.ago(600)),
    make.module('train', clock.ago(40), {
      busyWith: `${RUNNING_RUN}-train`,
      queued: 1,
      restarts: 1,
      lastExit: { code: null, signal: 'SIGKILL', at: clock.ago(40) },
    }),
    make.module('benchmark', clock.ago(1), { state: 'restarting', pid: null, restarts: 4 }),
  ].map((entry) => moduleSchema.parse(entry));
}
