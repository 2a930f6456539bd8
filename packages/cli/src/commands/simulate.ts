import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  AppError,
  type Device,
  SIMULATED_LABEL,
  type SimulationJob,
  type SimulationProfile,
  type SimulationReport,
  simulationProfileSchema,
  simulationReportSchema,
} from '@selvedge/contract';
import { locateIssues, parseDocuments } from '@selvedge/runtime/documents';
import type { Command } from 'commander';
import { readSources } from '../documents/read-sources.ts';
import { runForeground } from '../foreground.ts';
import { simulatorCommand } from '../install-root.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer, seconds } from '../options.ts';
import { formatBytes } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

interface SimulateOptions {
  devices: number;
  profile?: string;
  duration?: number;
  prefix: string;
  url?: string;
  dir?: string;
  keep?: boolean;
}

const MAX_DEVICES = 100_000;
const TOKEN_TTL_S = 86_400;
const DURATION_RANGE = '1s to 30d';

async function readProfile(path: string | undefined, io: Io): Promise<SimulationProfile> {
  if (path === undefined) return simulationProfileSchema.parse({});
  const [source] = await readSources([path], io);
  const [located] = parseDocuments(source?.text ?? '', path);
  const parsed = simulationProfileSchema.safeParse(located?.value ?? {});
  if (parsed.success) return parsed.data;
  const issues = located === undefined ? [] : locateIssues(located, path, parsed.error);
  throw new AppError('INPUT_INVALID', { message: `${path} is not a profile of simulated devices.`, issues });
}

function progressText({ joined, devices, online, samplesAcknowledged, downloads, disconnects }: SimulationReport): string {
  const parts = [`${joined} of ${devices} joined`, `${online} online`, `${samplesAcknowledged} samples`];
  if (downloads.count > 0) parts.push(`${downloads.count} downloads (${formatBytes(downloads.bytes)})`);
  if (disconnects > 0) parts.push(`${disconnects} disconnects`);
  return parts.join(', ');
}

function milliseconds(value: { p50: number; p99: number; max: number } | null): string {
  return value === null ? '-' : `p50 ${value.p50.toFixed(0)} ms, p99 ${value.p99.toFixed(0)} ms, max ${value.max.toFixed(0)} ms`;
}

function reportText(report: SimulationReport): string {
  const { downloads } = report;
  const facts = renderFields([
    ['Devices', `${report.joined} joined, ${report.online} online at the end`],
    ['Connections', `${milliseconds(report.connectMs)}; ${report.disconnects} ended, ${report.failedConnects} failed`],
    ['Telemetry', `${report.samplesAcknowledged} of ${report.samplesSent} samples acknowledged; ${milliseconds(report.telemetryAckMs)}`],
    ['Downloads', `${downloads.count}, ${formatBytes(downloads.bytes)}, ${downloads.failed} failed`],
  ]);
  const rows = Object.entries(report.orders).map(([order, { devices, firstAtMs, p99AtMs, lastAtMs }]) => [
    order,
    String(devices),
    `${(p99AtMs - firstAtMs).toFixed(0)} ms`,
    `${(lastAtMs - firstAtMs).toFixed(0)} ms`,
    String(report.serving[order] ?? 0),
  ]);
  const table = rows.length === 0 ? [] : [renderTable(['ORDER', 'DEVICES', 'P99 AFTER FIRST', 'LAST AFTER FIRST', 'SERVING'], rows)];
  const errors = report.errors.map((error) => `  ${error}`);
  return [facts, ...table, ...(errors.length === 0 ? [] : [`What went wrong:\n${errors.join('\n')}`])].join('\n\n');
}

async function removeDevices(session: Session, selector: string, keepName: (device: Device) => boolean): Promise<number> {
  const devices = (await listAll(session, 'Device', selector)).filter(keepName);
  const line = session.progress();
  for (const [index, { metadata }] of devices.entries()) {
    line.update(`removing ${index + 1} of ${devices.length} simulated devices`, `remove ${Math.floor(index / 1000)}`);
    await session.client.deleteResource({ params: { plural: 'devices', name: metadata.name } }).catch((error: unknown) => {
      if (!(error instanceof AppError && error.code === 'NOT_FOUND')) throw error;
    });
  }
  line.clear();
  return devices.length;
}

async function runJob(session: Session, job: SimulationJob, path: string): Promise<SimulationReport> {
  await writeFile(path, JSON.stringify(job), { mode: 0o600 });
  const line = session.progress();
  let last: SimulationReport | undefined;
  const onLine = (text: string) => {
    const parsed = simulationReportSchema.safeParse(JSON.parse(text));
    if (!parsed.success) return;
    last = parsed.data;
    if (last.event === 'progress') line.update(progressText(last), `${Math.floor(last.elapsedS / 10)}`);
  };
  try {
    const errorsAsJson = session.settings.output === 'json';
    await runForeground({ command: [...simulatorCommand(), path], what: 'the simulator', io: session.io, errorsAsJson, onLine });
  } finally {
    line.clear();
    await rm(path, { force: true });
  }
  if (last !== undefined) return last;
  throw new AppError('STEP_FAILED', { message: 'The simulator ended without a report.' });
}

async function simulate(options: SimulateOptions, session: Session): Promise<void> {
  const { io } = session;
  const profile = await readProfile(options.profile, io);
  const folder = resolve(io.cwd, options.dir ?? join(io.env.HOME ?? homedir(), '.selvedge', 'simulation'));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const made = await session.client.createDeviceToken({ body: { uses: options.devices, ttlS: TOKEN_TTL_S }, signal: io.signal });
  const identitiesFile = join(folder, `${options.prefix}.jsonl`);
  const { devices, prefix, duration: durationS = 0, url = made.url } = options;
  const job = { url, token: made.token, devices, prefix, identitiesFile, durationS, profile };
  if (durationS === 0) session.note('Until Ctrl-C.');
  try {
    const report = await runJob(session, job, join(folder, `${prefix}.job.json`));
    await session.result(report, () => reportText(report));
  } finally {
    if (options.keep !== true) {
      await removeDevices(session, `${SIMULATED_LABEL}=true`, ({ metadata }) => metadata.name.startsWith(`${prefix}-`));
      await rm(identitiesFile, { force: true });
    }
  }
}

export function registerSimulate(command: Command, io: Io): void {
  command
    .option('--devices <count>', 'how many (default: 10)', integer(1, MAX_DEVICES), 10)
    .option('--profile <file>', 'YAML or JSON: telemetry, link, outages, failing updates; see docs/guides/simulation.md')
    .option('--duration <span>', `how long, ${DURATION_RANGE} (default: until Ctrl-C)`, seconds(1, 30 * 86_400, DURATION_RANGE))
    .option('--prefix <name>', 'devices are named <name>-1, <name>-2, ...', 'sim')
    .option('--url <url>', 'address of the device port (default: what join tokens say)')
    .option('--dir <folder>', 'where identities are kept (default: ~/.selvedge/simulation)')
    .option('--keep', 'leave the devices on the server; the next call with the same --prefix and --dir is them again')
    .action(async (options: SimulateOptions, called: Command) => {
      await simulate(options, await openSession(called, io));
    });
  finishLeaf(command, {
    examples: [
      'selvedge simulate --devices 200',
      'selvedge simulate --devices 1000 --profile examples/simulation/field.yaml --duration 10m --keep',
    ],
    notes: `Simulated devices speak the real protocol: they join, send telemetry, follow their desired state and download. They have the label ${SIMULATED_LABEL}=true.`,
  });
}
