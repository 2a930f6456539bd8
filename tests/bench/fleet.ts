// `npm run bench:fleet [-- --devices 10000 --only change,idle,restart,ingest]`: what a server takes on together with thousands of simulated
// devices on the same machine: how fast a change reaches 1,000 devices, memory and CPU with telemetry each 30 s, how long all
// take to be back after the server was killed, and how much telemetry goes into SQLite while the API answers.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { type SimulationReport, simulationProfileSchema, simulationReportSchema } from '@selvedge/contract';
import { createLogger, sleep, waitUntil } from '@selvedge/runtime';
import { openStore } from '../../packages/server/src/adapters/sql/open-store.ts';
import { Product, ROOT } from '../e2e/harness/product.ts';
import { cpuSecondsOf, memoryOf } from './rss.ts';

const { values } = parseArgs({
  options: { devices: { type: 'string', default: '10000' }, only: { type: 'string', default: 'change,idle,restart,ingest' } },
});
const DEVICES = Number(values.devices);
const subjects = values.only.split(',');
const CHANGED_DEVICES = 1000;
const CHANGES = 10;
/** A sample has so many values that are not null. */
const VALUES_PER_SAMPLE = 9;

/** Simulated devices of one process, and the newest report on them. */
class Simulation {
  readonly #child: ChildProcess;
  readonly #folder: string;
  last: SimulationReport | undefined;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    const lines = createInterface({ input: child.stdout ?? process.stdin });
    lines.on('line', (line) => {
      this.last = simulationReportSchema.parse(JSON.parse(line));
    });
  }

  static async start(product: Product, devices: number, profile: object): Promise<Simulation> {
    const folder = await mkdtemp(join(tmpdir(), 'selvedge-simulation-'));
    const api = await product.api();
    const { token } = await api.createDeviceToken({ body: { uses: devices, labels: { fleet: 'bench' } } });
    const job = {
      url: product.deviceUrl,
      token,
      devices,
      prefix: 'sim',
      identitiesFile: join(folder, 'identities.jsonl'),
      durationS: 0,
      profile: simulationProfileSchema.parse(profile),
    };
    await writeFile(join(folder, 'job.json'), JSON.stringify(job));
    const program = join(ROOT, 'packages/simulator/dist/simulator.js');
    return new Simulation(spawn(process.execPath, [program, join(folder, 'job.json')], { stdio: ['ignore', 'pipe', 'inherit'] }), folder);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  online(count: number, timeoutMs: number): Promise<SimulationReport> {
    return waitUntil(() => (this.last?.online === count ? this.last : undefined), {
      timeoutMs,
      intervalMs: 100,
      what: `${count} devices to be online`,
    });
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Model "bench" with versions that nobody can fetch: the devices of this benchmark do not download. */
async function seedModel(product: Product): Promise<void> {
  const log = createLogger({ name: 'bench', level: 'error' });
  const store = await openStore({ file: join(product.dataDir, 'selvedge.sqlite'), announce: () => undefined, log });
  const bytes = { sha256: 'a'.repeat(64), sizeBytes: 1 };
  const chain = { pipeline: [], params: {} };
  const base = { labels: {}, annotations: {} };
  const versions = Array.from({ length: CHANGES + 1 }, (_, change) => String(change));
  await store.create('Model', { ...base, name: 'bench', spec: {}, status: { aliases: {}, versions } });
  for (const version of versions) {
    const spec = {
      ...{ model: 'bench', version, format: 'onnx' as const, file: bytes, bundle: bytes, inputs: [], outputs: [], labels: [] },
      ...{ preproc: chain, postproc: chain, metrics: {}, lineage: null },
    };
    await store.create('ModelVersion', { ...base, name: `bench-${version}`, spec, status: { servedBy: 0 } });
  }
  await store.close();
}

const quantile = (sorted: readonly number[], share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN);

/** From the request that changes a version to its arrival at each device, over several changes. */
async function measureChange(product: Product) {
  const simulation = await Simulation.start(product, CHANGED_DEVICES, { startsPerS: 200, updates: { download: false } });
  try {
    await simulation.online(CHANGED_DEVICES, 300_000);
    await sleep(15_000);
    const p99: number[] = [];
    const layer = { deployToLayer: 'edge' as const, frameworkType: 'onnx', nodeSelector: { fleet: 'bench' } };
    const metadata = { name: 'bench' };
    // the first one deploys, those that are measured change the version
    for (let change = 0; change <= CHANGES; change += 1) {
      const fromMs = Date.now();
      const spec = { modelName: 'bench', targetVersion: String(change), ...layer };
      await (await product.api()).apply({
        body: { documents: [{ apiVersion: 'selvedge.dev/v1alpha1', kind: 'InferenceModel', metadata, spec }] },
      });
      const arrived = await waitUntil(
        () => {
          const order = simulation.last?.orders[`bench ${change}`];
          return order?.devices === CHANGED_DEVICES ? order : undefined;
        },
        { timeoutMs: 60_000, what: `a change at ${CHANGED_DEVICES} devices` },
      );
      if (change > 0) p99.push(arrived.p99AtMs - fromMs);
      await sleep(4000);
    }
    p99.sort((a, b) => a - b);
    return { devices: CHANGED_DEVICES, changes: CHANGES, p99Ms: { median: quantile(p99, 0.5), worst: p99.at(-1) } };
  } finally {
    await simulation.stop();
  }
}

async function apiQuantiles(product: Product, requests: number) {
  const api = await product.api();
  const times: number[] = [];
  for (let request = 0; request < requests; request += 1) {
    const fromMs = performance.now();
    if (request % 2 === 0) await api.listResources({ params: { plural: 'devices' }, query: { limit: 50 } });
    else await api.getDeviceTelemetry({ params: { name: `sim-${(request % 100) + 1}` }, query: {} });
    times.push(performance.now() - fromMs);
    await sleep(100);
  }
  times.sort((a, b) => a - b);
  return { p50Ms: quantile(times, 0.5), p95Ms: quantile(times, 0.95) };
}

async function measureFleet(product: Product) {
  const beganMs = performance.now();
  const simulation = await Simulation.start(product, DEVICES, { startsPerS: 500, telemetryIntervalS: 30 });
  const pid = () => product.server.child.pid ?? 0;
  const result: Record<string, unknown> = { devices: DEVICES };
  try {
    await simulation.online(DEVICES, 1_800_000);
    result.joinedAfterS = Math.round((performance.now() - beganMs) / 1000);
    await sleep(60_000);
    const cpu = cpuSecondsOf(pid());
    const acknowledged = simulation.last?.samplesAcknowledged ?? 0;
    const api = await apiQuantiles(product, 60);
    await sleep(30_000 - 60 * 100);
    result.idle = {
      server: memoryOf(pid()),
      simulator: memoryOf(simulation.pid),
      cpuOfACore: (cpuSecondsOf(pid()) - cpu) / 30,
      samplesPerS: Math.round(((simulation.last?.samplesAcknowledged ?? 0) - acknowledged) / 30),
      api,
    };
    process.stderr.write(`idle: ${JSON.stringify(result)}\n`);
    if (subjects.includes('restart')) {
      await product.server.kill('SIGKILL');
      await waitUntil(() => simulation.last?.online === 0, { timeoutMs: 120_000, what: 'all devices to notice' });
      const killedMs = performance.now();
      await product.startServer();
      const readyMs = performance.now();
      await simulation.online(DEVICES, 900_000);
      result.restart = {
        serverReadyAfterS: (readyMs - killedMs) / 1000,
        allBackAfterS: (performance.now() - killedMs) / 1000,
        server: memoryOf(pid()),
      };
    }
    return result;
  } finally {
    await simulation.stop();
  }
}

async function measureIngest(product: Product) {
  const profile = { startsPerS: 200, telemetryIntervalS: 0.2, samplesPerBatch: 5 };
  const simulation = await Simulation.start(product, 600, profile);
  try {
    await simulation.online(600, 300_000);
    await sleep(10_000);
    const acknowledged = simulation.last?.samplesAcknowledged ?? 0;
    const fromMs = performance.now();
    const api = await apiQuantiles(product, 200);
    const seconds = (performance.now() - fromMs) / 1000;
    const samples = (simulation.last?.samplesAcknowledged ?? 0) - acknowledged;
    return {
      samplesPerS: Math.round(samples / seconds),
      valuesPerS: Math.round((samples * VALUES_PER_SAMPLE) / seconds),
      api,
      server: memoryOf(product.server.child.pid ?? 0),
    };
  } finally {
    await simulation.stop();
  }
}

const results: Record<string, unknown> = {};
const measures: [string, (product: Product) => Promise<unknown>][] = [
  ['change', measureChange],
  ['idle', measureFleet],
  ['ingest', measureIngest],
];
for (const [name, measure] of measures) {
  if (!subjects.includes(name)) continue;
  const product = await Product.create({ serverArgs: ['--log-level', 'warn'] });
  try {
    await product.startServer();
    await product.server.kill('SIGTERM');
    await seedModel(product);
    await product.startServer();
    results[name] = await measure(product);
    process.stderr.write(`${name}: ${JSON.stringify(results[name])}\n`);
  } finally {
    await product.stop();
  }
}
process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
process.exit();
