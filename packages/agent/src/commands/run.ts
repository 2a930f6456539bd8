import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { uptime } from 'node:os';
import { join, resolve } from 'node:path';
import { AppError, targetOf } from '@selvedge/contract';
import { askDelta, askPackageDelta, askStanding, certificatesOf, openBlob, renewalDueMs, sha256Of } from '@selvedge/device-link';
import { createLogger, describeError, type Logger } from '@selvedge/runtime';
import { BundleFolder } from '../adapters/disk/bundle-folder.ts';
import { DiskVersionStore } from '../adapters/disk/disk-version-store.ts';
import { lockAgentFolder } from '../adapters/disk/folder-lock.ts';
import { accessOf, channelAccessOf, packageAuthorities, readIdentity, type StoredIdentity } from '../adapters/disk/identity-folder.ts';
import { LogFolder } from '../adapters/disk/log-folder.ts';
import { writeRefusal } from '../adapters/disk/refusal-file.ts';
import { FolderStateStore } from '../adapters/disk/state-folder.ts';
import { readUpdateLock } from '../adapters/disk/update-lock.ts';
import { MqttDeviceChannel } from '../adapters/mqtt/mqtt-device-channel.ts';
import { ChildModelHost } from '../adapters/process/child-model-host.ts';
import { HandingServingPort } from '../adapters/process/handing-serving-port.ts';
import { resourceLimits } from '../adapters/process/resource-limits.ts';
import { runPackage } from '../adapters/process/run-package.ts';
import { runPatcher } from '../adapters/process/run-patcher.ts';
import { LinuxSensors } from '../adapters/sensors/linux-sensors.ts';
import { readLocationFile } from '../adapters/sensors/location-file.ts';
import { AGENT_VERSION } from '../domain/agent-version.ts';
import type { BundleInbox } from '../services/bundle-inbox.ts';
import { Commands } from '../services/commands.ts';
import { LocationSource } from '../services/device-location.ts';
import { IdentityRenewal } from '../services/identity-renewal.ts';
import { PackageBench } from '../services/package-bench.ts';
import { Reconciler } from '../services/reconciler.ts';
import type { RemoteCommands } from '../services/remote-commands.ts';
import { Reporter } from '../services/reporter.ts';
import { ServerClock } from '../services/server-clock.ts';
import { ServerStanding } from '../services/server-standing.ts';
import { WorkloadRestart } from '../services/workload-restart.ts';
import { openInbox } from './bundle-inbox.ts';
import { lazyTransfers } from './lazy-transfers.ts';
import { ownProgram, renewInChild } from './own-programs.ts';
import { readSettings, type Settings } from './settings.ts';
import { trialMeans } from './trial-means.ts';
import { openUpkeep, readToldBudgets, type UpkeepParts } from './upkeep.ts';

export interface RunOptions {
  dir: string;
  /** `import.meta.url` of the program, to find the model server and to start itself. */
  mainUrl: string;
  /** Win over `agent.json`. */
  settings: Settings;
}

/** Attempts in vain after which the server is asked where the device is to connect. */
const DOUBT_AFTER = 3;
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

/** Counts from this machine's clock as it is now, by the time since boot, sleep included: setting the clock does not change it. */
function steadyClock(): () => number {
  const beganMs = Date.now() - uptime() * 1000;
  return () => Math.round(beganMs + uptime() * 1000);
}

/** What runs programs for the server, loaded when it is first needed: most agents never need it. */
function lazyRemote(options: Parameters<typeof import('./remote.ts')['openRemoteCommands']>[0]) {
  let opening: Promise<RemoteCommands> | undefined;
  const open = () => {
    opening ??= import('./remote.ts')
      .then(({ openRemoteCommands }) => openRemoteCommands(options))
      .catch((error: unknown) => {
        opening = undefined; // the next command tries again
        throw error;
      });
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

/** What is there before the parts are. */
interface Kept {
  logs: LogFolder;
  serverClock: ServerClock;
  upkeep: UpkeepParts;
  /** What the server is told has changed. */
  onChange: () => void;
}

async function openKept({ dir }: RunOptions, device: string, settings: Settings, logs: LogFolder, log: Logger): Promise<Kept> {
  const clock = () => Date.now();
  const serverClock = new ServerClock(clock, steadyClock());
  const upkeep = await openUpkeep({
    dir: resolve(dir),
    device,
    settings,
    told: await readToldBudgets(dir, log),
    log,
    clock,
    serverNow: () => serverClock.now(),
    onChange: () => kept.onChange(),
  });
  const kept: Kept = { logs, serverClock, upkeep, onChange: () => undefined };
  return kept;
}

/** Puts the parts together. Nothing acts before `start`. */
function assemble(options: RunOptions, device: string, settings: Settings, kept: Kept, log: Logger, onChange: () => void) {
  const { dir, mainUrl } = options;
  const { logs, serverClock, upkeep } = kept;
  const instanceId = randomUUID();
  const serverNow = () => serverClock.now();
  // Read anew for each connection and download: a renewed certificate is used from then on.
  const { onSocket } = upkeep;
  const access = async () => ({ ...accessOf(await needIdentity(dir)), onServerTime: (atMs: number) => serverClock.learn(atMs), onSocket });
  const states = new FolderStateStore(dir, log);
  const sensors = new LinuxSensors(dir);
  const targets = targetsOf(settings);
  const { emulator } = settings;
  const bundles = new BundleFolder(dir);
  // What came on a stick needs no network; it is checked as a download is.
  const open = async (sha256: string, offset: number, signal: AbortSignal) =>
    (await bundles.openContent(sha256, offset)) ?? upkeep.metered(async () => openBlob(await access(), sha256, offset, signal));
  const storeIn = (folder: string) =>
    new DiskVersionStore({
      root: join(dir, folder),
      openBlob: open,
      applyDelta: (request) => runPatcher([...ownProgram(mainUrl, 'patcher')], request),
      askDelta: async (sha256, from, signal) =>
        (await bundles.hasContent(sha256)) ? undefined : askDelta(await access(), sha256, from, signal),
      askPackageDelta: async ({ archive, manifestSha256 }, from, signal) =>
        (await bundles.hasContent(archive.sha256)) ? undefined : askPackageDelta(await access(), manifestSha256, from, signal),
      caPem: async () => packageAuthorities(await needIdentity(dir)),
      needRoom: upkeep.needRoom,
      log,
    });
  const reconciler: Reconciler = new Reconciler({
    states,
    versions: storeIn('versions'),
    host: new ChildModelHost({
      command: ownProgram(mainUrl, 'model-server'),
      emulator,
      device,
      resources: () => resourceLimits(upkeep.values()),
      onLine: (workload, line) => logs.workload(workload).append(line),
      log,
    }),
    targets,
    makePort: () => new HandingServingPort(log),
    onBudgets: upkeep.tell,
    means: trialMeans({ dir, mainUrl, openBlob: open, temperatureC: () => sensors.temperatureC(), log }),
    holds: { lockReason: () => readUpdateLock(dir), ...upkeep.holds },
    log,
    clock: () => performance.now(),
    time: serverNow,
    backoff: RETRY_VERSION,
    onChange: () => {
      reporter.changed();
      restarts.changed();
      onChange();
    },
  });
  const channel: MqttDeviceChannel = new MqttDeviceChannel({
    device,
    instanceId,
    endpoint: async () => ({ ...(await access()), ...channelAccessOf(await needIdentity(dir)) }),
    keepaliveMs: (settings.keepaliveS ?? 60) * 1000,
    backoff: RECONNECT,
    log,
    link: upkeep.link,
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
    // A broker that does not answer may have been replaced.
    onFailed: (attempt) => {
      if (attempt % DOUBT_AFTER === 0) renewal.doubt();
    },
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
    upkeep: upkeep.known,
    log,
  });
  const bench = new PackageBench({
    store: storeIn('bench'),
    targets,
    run: (folder, args, timeoutMs) => runPackage(folder, args, { emulator, timeoutMs }),
  });
  const transfers = lazyTransfers({ dir: resolve(dir), settings, access, log, clock: () => performance.now() });
  const restarts = new WorkloadRestart({
    has: (name) => reconciler.has(name),
    serving: (name) => reconciler.serving(name),
    restart: (name) => reconciler.restart(name),
    reports: () => reconciler.reports(),
  });
  const remote = lazyRemote({ dir, logs, restart: (name) => restarts.restart(name), log, clock: serverNow });
  const commands = new Commands({
    channel,
    transfers: transfers.open,
    has: (name) => reconciler.has(name),
    serving: (name) => reconciler.serving(name),
    bench: (command) => bench.measure(command),
    refreshIdentity: () => renewal.refresh(),
    remote: async (command) => (await remote.open()).execute(command),
    clock: serverNow,
    log,
  });
  kept.onChange = () => reporter.connected();
  const telemetry = upkeep.telemetry({
    sensors,
    channel,
    workloads: () => reconciler.reports(),
    serving: (name) => reconciler.serving(name),
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
    onMoved: () => renewal.doubt(),
    onTimeKnown: () => {
      if (serverClock.offsetMs !== undefined) upkeep.spool.learnOffset(serverClock.offsetMs);
      void telemetry.connected();
      renewal.connected();
      reconciler.timeKnown();
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
  return { reconciler, channel, reporter, telemetry, renewal, standing, place, remote, transfers };
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
    let inbox: BundleInbox | undefined;
    const kept = await openKept(options, device, settings, logs, log);
    const parts = assemble(options, device, settings, kept, log, () => inbox?.changed());
    const { reconciler } = parts;
    // Whatever is wrong there, what the device serves does not wait for it.
    await parts.remote
      .recover()
      .catch((error: unknown) => log.error('what the last agent left running is not known', describeError(error)));
    await parts.transfers
      .recover()
      .catch((error: unknown) => log.error('folders that the last agent was replacing are not looked at', describeError(error)));
    await reconciler.start();
    inbox = await openInbox({
      dir: options.dir,
      authoritySha256: stored.identity.caSha256,
      apply: (desired) => reconciler.apply(desired),
      spool: kept.upkeep.spool,
      arrived: () => reconciler.retryNetwork(),
      observedRevision: () => reconciler.observedRevision,
      reports: () => reconciler.reports(),
      log,
    });
    await inbox.start();
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
    await inbox.stop();
    parts.renewal.stop();
    parts.standing.stop();
    parts.place.stop();
    parts.telemetry.stop();
    parts.reporter.stop();
    await Promise.all([parts.remote.stop(), reconciler.stop(), parts.channel.stop(), parts.transfers.stop()]);
    await kept.upkeep.close();
  } finally {
    await logs.flush();
    await unlock();
  }
}
