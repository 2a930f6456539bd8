import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AppError,
  type Client,
  type DatasetVersion,
  datasetVersionSchema,
  deviceSchema,
  deviceTokenSchema,
  type InferenceModel,
  inferenceModelSchema,
  type ModelVersion,
  type Run,
  runSchema,
} from '@selvedge/contract';
import { readJsonFile, waitUntil } from '@selvedge/runtime';
import * as z from 'zod';
import { quantile, score } from './accuracy.ts';
import type { DevicePlatform } from './device-platform.ts';
import { type Processes, ROOT, selvedge } from './processes.ts';
import type { DeviceReport } from './report.ts';

export const DEVICES = ['edge-1', 'edge-2', 'edge-3'] as const;
const EXAMPLE = join(ROOT, 'examples/digits');

export interface DemoContext {
  api: Client;
  dataDir: string;
  deviceDir: (name: string) => string;
  logFile: (name: string) => string;
  processes: Processes;
  signal: AbortSignal;
  /** Replaces the text of the running step's progress line. */
  progress: (text: string) => void;
  deviceUrl: string;
}

/** The part of an agent's identity file that says where its server is. */
const identitySchema = z.object({ serverUrl: z.string() });

/** Enrols the devices that are not yet, starts every agent and waits until all are online. */
export async function startDevices(context: DemoContext, platforms: ReadonlyMap<string, DevicePlatform>): Promise<string> {
  const { api, signal } = context;
  const known = await api.listResources({ params: { plural: 'devices' } });
  const names = new Set(known.items.map((item) => item.metadata.name));
  let joined = 0;
  for (const name of DEVICES) {
    const dir = context.deviceDir(name);
    const identity = await readJsonFile(join(dir, 'identity.json'), identitySchema);
    if (names.has(name) && identity?.serverUrl === context.deviceUrl) continue;
    // Joined to another server, or to this one at another port: it would look for it there.
    if (names.has(name)) await selvedge(['device', 'remove', name], context);
    const token = deviceTokenSchema.parse(await selvedge(['device', 'token', '--label', 'site=demo'], context));
    await selvedge(
      ['agent', 'join', context.deviceUrl, '--token', token.token, '--name', name, '--dir', dir, '--no-run', '--force'],
      context,
    );
    joined += 1;
    context.progress(`${joined} joined`);
  }
  for (const name of DEVICES) {
    const platform = platforms.get(name);
    await context.processes.startAgent({ dir: context.deviceDir(name), logFile: context.logFile(name), platform });
  }
  await waitUntil(
    async () => {
      const { items } = await api.listResources({ params: { plural: 'devices' } });
      const online = items.filter((item) => item.kind === 'Device' && item.status.online).length;
      context.progress(`${online} of ${DEVICES.length} online`);
      return online >= DEVICES.length;
    },
    { timeoutMs: 60_000, intervalMs: 200, what: 'all devices to come online', signal },
  );
  const emulated = [...platforms].filter(([, { emulator }]) => emulator !== undefined).map(([name, { target }]) => `${name} as ${target}`);
  const note = joined === 0 ? `${DEVICES.length} devices online` : `${joined} devices joined over mutual TLS`;
  return emulated.length === 0 ? note : `${note}, ${emulated.join(', ')} under qemu`;
}

export async function addDataset(context: DemoContext, folder: string): Promise<DatasetVersion> {
  return datasetVersionSchema.parse(
    await selvedge(['dataset', 'add', 'digits', '--from', folder], { ...context, onLine: context.progress }),
  );
}

export async function applyExample(context: DemoContext, files: readonly string[]): Promise<void> {
  await selvedge(['apply', ...files.flatMap((file) => ['-f', join(EXAMPLE, file)])], context);
}

/** A finished run of the pipeline as it is now, on this dataset version, if there is one. */
async function finishedRun(api: Client, dataset: DatasetVersion): Promise<Run | undefined> {
  const pipeline = await api.getResource({ params: { plural: 'pipelines', name: 'digits' } });
  const { items } = await api.listResources({ params: { plural: 'runs' } });
  return items
    .filter((item) => item.kind === 'Run')
    .filter((run) => run.spec.pipeline === 'digits' && run.spec.pipelineGeneration === pipeline.metadata.generation)
    .filter((run) => run.spec.dataset.digest === dataset.status.content?.digest && run.status.phase === 'Succeeded')
    .at(-1);
}

export async function runPipeline(context: DemoContext, dataset: DatasetVersion): Promise<{ run: Run; reused: boolean }> {
  const done = await finishedRun(context.api, dataset);
  if (done !== undefined) return { run: done, reused: true };
  const printed = await selvedge(['pipeline', 'run', 'digits', '--watch'], { ...context, onLine: context.progress });
  return { run: runSchema.parse(printed), reused: false };
}

export async function findModelVersion(api: Client, run: Run): Promise<ModelVersion> {
  const { versions } = await api.getModel({ params: { name: run.spec.pipelineSpec.model.name } });
  const version = versions.find((candidate) => candidate.spec.lineage?.run === run.metadata.name);
  if (version === undefined) throw new AppError('NOT_FOUND', { message: `Run ${run.metadata.name} has registered no model version.` });
  return version;
}

/**
 * What serves on a device: a native package's name, or `model-server`.
 *
 * @throws AppError WORKLOAD_FAILED (operational) when the device has given its native package up.
 */
export async function runtimeOf(api: Client, device: string): Promise<string> {
  const { status } = deviceSchema.parse(await api.getResource({ params: { plural: 'devices', name: device } }));
  const workload = status.workloads.find(({ name }) => name === 'digits');
  const refused = workload?.nativeError ?? null;
  if (refused !== null) throw new AppError('WORKLOAD_FAILED', { message: `${device} does not run the native package: ${refused.message}` });
  return workload?.runtime ?? 'nothing';
}

/** Waits until every device serves the version: natively where it has a package. */
export async function waitUntilServed(
  context: DemoContext,
  version: string,
  platforms: ReadonlyMap<string, DevicePlatform>,
): Promise<InferenceModel> {
  return waitUntil(
    async () => {
      const model = inferenceModelSchema.parse(await context.api.getResource({ params: { plural: 'inferencemodels', name: 'digits' } }));
      const failed = model.status.devices.find((device) => device.state === 'failed');
      context.progress(
        failed === undefined
          ? model.status.devices.map((device) => `${device.device} ${device.state}`).join(', ')
          : `${failed.device}: ${failed.message}`,
      );
      if (model.status.servingVersion !== version || model.status.devices.length < DEVICES.length) return undefined;
      for (const device of platforms.keys()) if ((await runtimeOf(context.api, device)) === 'model-server') return undefined;
      return model;
    },
    { timeoutMs: 90_000, intervalMs: 200, what: `the devices to serve version ${version}`, signal: context.signal },
  );
}

interface Picture {
  path: string;
  label: string;
}

export async function listPictures(folder: string): Promise<Picture[]> {
  const labels = (await readdir(folder)).sort();
  const nested = await Promise.all(
    labels.map(async (label) => (await readdir(join(folder, label))).sort().map((file) => ({ path: join(folder, label, file), label }))),
  );
  return nested.flat();
}

const topSchema = z.object({ top: z.object({ label: z.string() }) });
const CONTENT_TYPES: Record<string, string> = { jpg: 'image/jpeg', jpeg: 'image/jpeg', png: 'image/png' };
/** Requests under way to one device at once: enough to keep it busy, few enough to measure its latency and not the queue's. */
const CONCURRENCY = 1;

/** Sends every picture to one device through the server, as `selvedge infer` does, and scores the answers. */
export async function measureDevice(
  context: DemoContext,
  device: string,
  pictures: readonly Picture[],
  onDone: () => void,
): Promise<Omit<DeviceReport, 'runtime'>> {
  const pairs: { actual: string; predicted: string }[] = [];
  const latencies: number[] = [];
  const roundTrips: number[] = [];
  const versions = new Set<string>();
  const queue = [...pictures];
  const worker = async () => {
    for (let picture = queue.pop(); picture !== undefined; picture = queue.pop()) {
      const contentType = CONTENT_TYPES[picture.path.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
      const answer = await context.api.infer({
        params: { name: 'digits' },
        query: { device },
        upload: await readFile(picture.path),
        contentType,
        signal: context.signal,
      });
      pairs.push({ actual: picture.label, predicted: topSchema.parse(answer.infer.result).top.label });
      latencies.push(answer.infer.latencyMs);
      roundTrips.push(answer.roundTripMs);
      versions.add(answer.infer.version);
      onDone();
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  const { accuracy, f1 } = score(pairs);
  return {
    name: device,
    servingVersion: [...versions].join('+'),
    accuracyOnDevice: accuracy,
    f1OnDevice: f1,
    p50Ms: quantile(latencies, 0.5),
    p95Ms: quantile(latencies, 0.95),
    roundTripP50Ms: quantile(roundTrips, 0.5),
    pictures: pairs.length,
  };
}
