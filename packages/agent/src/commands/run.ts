import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AppError, targetOf } from '@selvedge/contract';
import { askStanding, certificatesOf, openBlob, renewalDueMs, sha256Of } from '@selvedge/device-link';
import { createLogger, type Logger } from '@selvedge/runtime';
import { DiskVersionStore } from '../adapters/disk/disk-version-store.ts';
import { lockAgentFolder } from '../adapters/disk/folder-lock.ts';
import { accessOf, packageAuthorities, readIdentity, type StoredIdentity } from '../adapters/disk/identity-folder.ts';
import { LogFolder } from '../adapters/disk/log-folder.ts';
import { writeRefusal } from '../adapters/disk/refusal-file.ts';
import { FolderStateStore } from '../adapters/disk/state-folder.ts';
import { readUpdateLock } from '../adapters/disk/update-lock.ts';
import { MqttDeviceChannel } from '../adapters/mqtt/mqtt-device-channel.ts';
import { ChildModelHost } from '../adapters/process/child-model-host.ts';
import { HandingServingPort } from '../adapters/process/handing-serving-port.ts';
import { resourceLimits } from '../adapters/process/resource-limits.ts';
import { runPackage } from '../adapters/process/run-package.ts';
import { LinuxSensors } from '../adapters/sensors/linux-sensors.ts';
import { readLocationFile } from '../adapters/sensors/location-file.ts';
import { AGENT_VERSION } from '../domain/agent-version.ts';
import { Commands } from '../services/commands.ts';
import { LocationSource } from '../services/device-location.ts';
import type { FileTransfers } from '../services/file-transfers.ts';
import { IdentityRenewal } from '../services/identity-renewal.ts';
import { PackageBench } from '../services/package-bench.ts';
import { Reconciler } from '../services/reconciler.ts';
import type { RemoteCommands } from '../services/remote-commands.ts';
import { Reporter } from '../services/reporter.ts';
import { ServerClock } from '../services/server-clock.ts';
import { ServerStanding } from '../services/server-standing.ts';
import { Telemetry } from '../services/telemetry.ts';
import { WorkloadRestart } from '../services/workload-restart.ts';
import { ownProgram, renewInChild } from './own-programs.ts';
import { readSettings, type Settings } from './settings.ts';
import { trialMeans } from './trial-means.ts';

export interface RunOptions {
  dir: string;
  /** `import.meta.url` of the program, to find the model server and to start itself. */
  mainUrl: string;
  /** Win over `agent.json`. */
  settings: Settings;
}

const RECONNECT = { baseMs: 500, maxMs: 30_000 };
const DEFAULT_LOG_FILE_KIB = 1024;
const RETRY_VERSION = { baseMs: 500, maxMs: 60_000 };

async function needIdentity(dir: string): Promise<StoredIdentity> {
  const stored = await readIdentity(dir);
  if (stored !== undefined) return stored;
  throw new AppError('CONFLICT', { message: `${dir} has not joined a server.`, hint: 'Run: selvedge-agent join URL --token T --dir DIR' });
}

function armVersion(): unknown {
  return 'arm_version' in process.config.variables ? process.config.variables.arm_version : undefined;
}

/** Targets whose native packages this device runs: the set one, else those of this machine. */
function targetsOf({ target }: Settings): string[] {
  // Packages for armv7 use instructions that an ARMv6 core (Pi 1, Pi Zero) does not have.
  if (target === undefined && process.arch === 'arm' && Number(armVersion()) < 7) return [];
  const found = target ?? targetOf(process.arch, process.platform);
  return found === undefined ? [] : [found];
}

/** Asked only while a version waits that is to come over an unmetered link. */
async function isMetered({ metered = 'auto' }: Settings): Promise<boolean> {
  if (metered !== 'auto') return metered;
  const { isLinkMetered } = await import('../adapters/trial/metered-link.ts');
  return isLinkMetered();
}

/** What runs programs for the server, loaded when it is first needed: most agents never need it. */
function lazyRemote(options: Parameters<typeof import('./remote.ts')['openRemoteCommands']>[0]) {
  let opening: Promise<RemoteCommands> | undefined;
  const open = () => {
    opening ??= import('./remote.ts').then(({ openRemoteCommands }) => openRemoteCommands(options));
    return opening;
  };
  return {
    open,
    /** Tidies up after an agent that was killed while programs ran. */
    recover: async () => {
      if (existsSync(join(options.dir, 'programs.json'))) await open();
    },
    stop: async () => (await opening)?.stop(),
  };
}

/** Puts the parts together. Nothing acts before `start`. */
function assemble(options: RunOptions, device: string, settings: Settings, logs: LogFolder, log: Logger) {
  const { dir, mainUrl } = options;
  const clock = () => Date.now();
  const instanceId = randomUUID();
  // Read anew for each connection and download: a renewed certificate is used from then on.
  const serverClock = new ServerClock(clock);
  const serverNow = () => serverClock.now();
  const access = async () => ({ ...accessOf(await needIdentity(dir)), onServerTime: (atMs: number) => serverClock.learn(atMs) });
  const states = new FolderStateStore(dir);
  const sensors = new LinuxSensors(dir);
  const targets = targetsOf(settings);
  const { emulator } = settings;
  const open = async (sha256: string, offset: number, signal: AbortSignal) => openBlob(await access(), sha256, offset, signal);
  const storeIn = (folder: string) =>
    new DiskVersionStore({
      root: join(dir, folder),
      openBlob: open,
      caPem: async () => packageAuthorities(await needIdentity(dir)),
      log,
    });
  const reconciler: Reconciler = new Reconciler({
    states,
    versions: storeIn('versions'),
    host: new ChildModelHost({
      command: ownProgram(mainUrl, 'model-server'),
      emulator,
      device,
      resources: resourceLimits(settings),
      onLine: (workload, line) => logs.workload(workload).append(line),
      log,
    }),
    targets,
    makePort: () => new HandingServingPort(log),
    means: trialMeans({ dir, mainUrl, openBlob: open, temperatureC: () => sensors.temperatureC(), log }),
    holds: { lockReason: () => readUpdateLock(dir), isMetered: () => isMetered(settings) },
    log,
    clock,
    backoff: RETRY_VERSION,
    onChange: () => {
      reporter.changed();
      restarts.changed();
    },
  });
  const channel: MqttDeviceChannel = new MqttDeviceChannel({
    device,
    instanceId,
    endpoint: access,
    keepaliveMs: (settings.keepaliveS ?? 60) * 1000,
    backoff: RECONNECT,
    log,
    onDesired: (desired) => reconciler.apply(desired),
    onCommand: (payload) => void commands.execute(payload),
    onConnected: () => {
      log.info('connected to the server');
      reporter.connected();
      reconciler.retryNetwork();
      void standing.connected();
    },
    onDisconnected: () => undefined,
    onRefused: () => standing.refused(),
  });
  const reporter: Reporter = new Reporter({
    channel,
    states,
    instanceId,
    info: { ...sensors.describe(AGENT_VERSION), targets },
    workloads: () => reconciler.reports(),
    observedRevision: () => reconciler.observedRevision,
    standing: () => ({
      ...(serverClock.offsetMs === undefined ? {} : { clockOffsetMs: serverClock.offsetMs }),
      ...(place.location === undefined ? {} : { location: place.location }),
      ...(trusts === undefined ? {} : { trusts }),
    }),
    log,
  });
  const bench = new PackageBench({
    store: storeIn('bench'),
    targets,
    run: (folder, args, timeoutMs) => runPackage(folder, args, { emulator, timeoutMs }),
  });
  // Most agents never move a file: the code for it is loaded when one is to.
  let transfers: Promise<FileTransfers> | undefined;
  const loadTransfers = async () => (await import('./transfers.ts')).openTransfers({ dir: resolve(dir), settings, access, log, clock });
  const restarts = new WorkloadRestart({
    has: (name) => reconciler.has(name),
    serving: (name) => reconciler.serving(name),
    restart: (name) => reconciler.restart(name),
    reports: () => reconciler.reports(),
  });
  const remote = lazyRemote({ dir, logs, restart: (name) => restarts.restart(name), log, clock });
  const commands = new Commands({
    channel,
    transfers: () => {
      transfers ??= loadTransfers();
      return transfers;
    },
    has: (name) => reconciler.has(name),
    serving: (name) => reconciler.serving(name),
    bench: (command) => bench.measure(command),
    refreshIdentity: () => renewal.refresh(),
    remote: async (command) => (await remote.open()).execute(command),
    clock: serverNow,
    log,
  });
  const telemetry = new Telemetry({
    sensors,
    channel,
    intervalMs: (settings.telemetryIntervalS ?? 60) * 1000,
    batchMs: (settings.telemetryBatchS ?? 300) * 1000,
    clock,
    toServerTime: (ms) => serverClock.toServerTime(ms),
    log,
  });
  let trusts: string[] | undefined;
  const readTrusts = async () => {
    trusts = certificatesOf((await needIdentity(dir)).caPem).map(sha256Of);
    reporter.changed();
  };
  const renewal = new IdentityRenewal({
    dueMs: async () => renewalDueMs((await needIdentity(dir)).certPem),
    renew: (mode, signal) => renewInChild(mainUrl, dir, mode, signal),
    clock: serverNow,
    onRenewed: () => void readTrusts(),
    log,
  });
  const standing = new ServerStanding({
    ask: async (signal) => askStanding(await access(), signal),
    serverClock,
    onNotAccepted: () => renewal.refused(),
    onTimeKnown: () => {
      void telemetry.connected();
      renewal.connected();
      void readTrusts();
    },
    keep: (refusal) => writeRefusal(dir, refusal),
    log,
  });
  const { location, locationFile } = settings;
  const place = new LocationSource({
    fixed: location,
    read: locationFile === undefined ? undefined : () => readLocationFile(resolve(dir, locationFile)),
    onChange: () => reporter.changed(),
    log,
  });
  const stopTransfers = async () => (await transfers)?.stop();
  return { reconciler, channel, reporter, telemetry, renewal, standing, place, remote, stopTransfers };
}

/**
 * Runs the agent until the signal aborts: serves what it served before at once, then connects.
 *
 * @throws AppError CONFLICT (user) when the folder has not joined; DATA_FOLDER_LOCKED (user); INPUT_INVALID (user) when a file
 *   in the folder is damaged.
 */
export async function runAgent(options: RunOptions, signal: AbortSignal): Promise<void> {
  const stored = await needIdentity(options.dir);
  const settings: Settings = { ...(await readSettings(options.dir)), ...options.settings };
  const { device, serverUrl } = stored.identity;
  const unlock = await lockAgentFolder(options.dir);
  const logs = new LogFolder(options.dir, (settings.logFileKiB ?? DEFAULT_LOG_FILE_KIB) * 1024, () => Date.now());
  const write = (line: string) => {
    process.stderr.write(line);
    logs.agent.append(line);
  };
  const log = createLogger({ name: 'agent', level: settings.logLevel ?? 'info', write }).child({ device });
  try {
    const parts = assemble(options, device, settings, logs, log);
    await parts.remote.recover();
    await parts.reconciler.start();
    await parts.place.start();
    await parts.telemetry.start();
    parts.channel.start();
    parts.renewal.start();
    log.info('started', { server: serverUrl, version: AGENT_VERSION, dir: options.dir });
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    log.info('stopping');
    parts.renewal.stop();
    parts.standing.stop();
    parts.place.stop();
    parts.telemetry.stop();
    parts.reporter.stop();
    await Promise.all([parts.remote.stop(), parts.reconciler.stop(), parts.channel.stop(), parts.stopTransfers()]);
  } finally {
    await logs.flush();
    await unlock();
  }
}
