// `npm run bench:metrics`: how long the API takes to list 1,000 runs and to give the points of their charts, 100,000 in all,
// and those of one run that has 100,000 points of its own. A real server on SQLite; each figure over real HTTP; the CPU time of
// a request is that of server and client. The data is made in the folder for temporary files: `TMPDIR=/dev/shm` makes that quick
// and changes no figure, which are of reading only.
import { join } from 'node:path';
import { pipelineSpecSchema } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { openStore } from '../../packages/server/src/adapters/sql/open-store.ts';
import { initialRunStatus } from '../../packages/server/src/domain/run-status.ts';
import { stepGraphOf } from '../../packages/server/src/domain/step-graph.ts';
import type { Store } from '../../packages/server/src/ports/store.ts';
import { SMALL_PIPELINE, TestServer } from '../../packages/server/src/testing/test-server.ts';

const RUNS = 1000;
const METRICS = ['train/loss', 'validation/loss', 'validation/accuracy', 'learning-rate'];
const STEPS_PER_RUN = 25;
const STEPS_OF_LONG_RUN = 25_000;
const REQUESTS = 40;

function pointsOf(steps: number) {
  const at = (step: number) => new Date(1_750_000_000_000 + step * 1000).toISOString();
  return METRICS.flatMap((metric) =>
    Array.from({ length: steps }, (_, step) => ({ metric, step, value: Math.sin(step / 50) + 1 / (step + 1), at: at(step) })),
  );
}

async function addRun(store: Store, name: string, steps: number): Promise<void> {
  const dataset = { name: 'things', version: 1, digest: 'a'.repeat(64), artifact: 'things.v1' };
  const pipelineSpec = pipelineSpecSchema.parse(SMALL_PIPELINE);
  const status = {
    ...initialRunStatus(stepGraphOf(pipelineSpec), dataset.artifact),
    phase: 'Succeeded' as const,
    metrics: { 'validation/accuracy': 0.9 },
  };
  await store.create('Run', {
    ...{ name, labels: { team: 'vision' }, annotations: {}, status },
    spec: { pipeline: 'things', pipelineGeneration: 1, pipelineSpec, dataset, cause: { type: 'api', by: 'bench' } },
  });
  await store.appendMetricPoints(name, pointsOf(steps));
}

async function seed(dir: string): Promise<void> {
  const log = createLogger({ name: 'bench', level: 'error' });
  const store = await openStore({ file: join(dir, 'selvedge.sqlite'), announce: () => undefined, log });
  for (let run = 1; run <= RUNS - 1; run += 1) await addRun(store, `things-${run}`, STEPS_PER_RUN);
  await addRun(store, 'long-1', STEPS_OF_LONG_RUN);
  await store.close();
}

async function measure(server: TestServer, path: (request: number) => string) {
  const times: number[] = [];
  let bytes = 0;
  let cpuBefore = process.cpuUsage();
  for (let request = -5; request < REQUESTS; request += 1) {
    const from = performance.now();
    const response = await server.fetch(path(Math.max(0, request)));
    const body = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${body}`);
    if (request >= 0) times.push(performance.now() - from);
    else cpuBefore = process.cpuUsage();
    bytes = body.length;
  }
  const sorted = times.sort((a, b) => a - b);
  const quantile = (share: number) => Number((sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(1));
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuMs = Number(((user + system) / 1000 / REQUESTS).toFixed(1));
  return { p50Ms: quantile(0.5), p95Ms: quantile(0.95), cpuMs, kilobytes: Math.round(bytes / 1000) };
}

const server = await TestServer.start();
try {
  await server.toolsHealthy();
  await server.stopServer();
  await seed(server.dir);
  await server.startAgain();
  await server.toolsHealthy();
  const result = {
    'list of 1,000 runs': await measure(server, () => '/api/v1/resources/runs?limit=1000'),
    'points of one of them (100)': await measure(server, (request) => `/api/v1/runs/things-${(request % (RUNS - 1)) + 1}/metrics`),
    'charts of one that has 100,000 (1,000 a curve)': await measure(server, () => '/api/v1/runs/long-1/metrics?max=1000'),
    'all 100,000 points of it': await measure(server, () => '/api/v1/runs/long-1/metrics'),
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  await server.stop();
}
process.exit();
