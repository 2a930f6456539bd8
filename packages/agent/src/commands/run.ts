import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { AppError, targetOf } from '@selvedge/contract';
import { createLogger, type Logger } from '@selvedge/runtime';
import { DiskVersionStore } from '../adapters/disk/disk-version-store.ts';
import { lockAgentFolder } from '../adapters/disk/folder-lock.ts';
import { accessOf, readIdentity, renewalDueMs, type StoredIdentity } from '../adapters/disk/identity-folder.ts';
import { FolderStateStore } from '../adapters/disk/state-folder.ts';
import { readUpdateLock } from '../adapters/disk/update-lock.ts';
import { openBlob, tlsOptions } from '../adapters/http/device-http.ts';
import { MqttDeviceChannel } from '../adapters/mqtt/mqtt-device-channel.ts';
import { ChildModelHost } from '../adapters/process/child-model-host.ts';
import { HandingServingPort } from '../adapters/process/handing-serving-port.ts';
import { resourceLimits } from '../adapters/process/resource-limits.ts';
import { runPackage } from '../adapters/process/run-package.ts';
import { LinuxSensors } from '../adapters/sensors/linux-sensors.ts';
import { AGENT_VERSION } from '../domain/agent-version.ts';
import { Commands } from '../services/commands.ts';
import { IdentityRenewal } from '../services/identity-renewal.ts';
import { PackageBench } from '../services/package-bench.ts';
import { Reconciler } from '../services/reconciler.ts';
import { Reporter } from '../services/reporter.ts';
import { Telemetry } from '../services/telemetry.ts';
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

/** Puts the parts together. Nothing acts before `start`. */
function assemble(options: RunOptions, device: string, settings: Settings, log: Logger) {
  const { dir, mainUrl } = options;
  const clock = () => Date.now();
  const instanceId = randomUUID();
  // Read anew for each connection and download: a renewed certificate is used from then on.
  const access = async () => accessOf(await needIdentity(dir));
  const states = new FolderStateStore(dir);
  const sensors = new LinuxSensors(dir);
  const targets = targetsOf(settings);
  const { emulator } = settings;
  const open = async (sha256: string, offset: number, signal: AbortSignal) => openBlob(await access(), sha256, offset, signal);
  const storeIn = (folder: string) =>
    new DiskVersionStore({
      root: join(dir, folder),
      openBlob: open,
      caPem: async () => (await access()).caPem,
      log,
    });
  const reconciler: Reconciler = new Reconciler({
    states,
    versions: storeIn('versions'),
    host: new ChildModelHost({ command: ownProgram(mainUrl, 'model-server'), emulator, device, resources: resourceLimits(settings), log }),
    targets,
    makePort: () => new HandingServingPort(log),
    means: trialMeans({ dir, mainUrl, openBlob: open, temperatureC: () => sensors.temperatureC(), log }),
    holds: { lockReason: () => readUpdateLock(dir), isMetered: () => isMetered(settings) },
    log,
    clock,
    backoff: RETRY_VERSION,
    onChange: () => reporter.changed(),
  });
  const channel: MqttDeviceChannel = new MqttDeviceChannel({
    device,
    instanceId,
    endpoint: async () => tlsOptions(await access()),
    keepaliveMs: (settings.keepaliveS ?? 60) * 1000,
    backoff: RECONNECT,
    log,
    onDesired: (desired) => reconciler.apply(desired),
    onCommand: (payload) => void commands.execute(payload),
    onConnected: () => {
      log.info('connected to the server');
      reporter.connected();
      reconciler.retryNetwork();
      void telemetry.connected();
    },
    onDisconnected: () => renewal.disconnected(),
  });
  const reporter: Reporter = new Reporter({
    channel,
    states,
    instanceId,
    info: { ...sensors.describe(AGENT_VERSION), targets },
    workloads: () => reconciler.reports(),
    observedRevision: () => reconciler.observedRevision,
    log,
  });
  const bench = new PackageBench({
    store: storeIn('bench'),
    targets,
    run: (folder, args, timeoutMs) => runPackage(folder, args, { emulator, timeoutMs }),
  });
  const commands = new Commands({
    channel,
    has: (name) => reconciler.has(name),
    serving: (name) => reconciler.serving(name),
    bench: (command) => bench.measure(command),
    clock,
    log,
  });
  const telemetry = new Telemetry({
    sensors,
    channel,
    intervalMs: (settings.telemetryIntervalS ?? 60) * 1000,
    batchMs: (settings.telemetryBatchS ?? 300) * 1000,
    clock,
    log,
  });
  const renewal = new IdentityRenewal({
    dueMs: async () => renewalDueMs((await needIdentity(dir)).certPem),
    renew: (signal) => renewInChild(mainUrl, dir, signal),
    clock,
    log,
  });
  return { reconciler, channel, reporter, telemetry, renewal };
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
  const log = createLogger({ name: 'agent', level: settings.logLevel ?? 'info' }).child({ device });
  const unlock = await lockAgentFolder(options.dir);
  try {
    const parts = assemble(options, device, settings, log);
    await parts.reconciler.start();
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
    parts.telemetry.stop();
    parts.reporter.stop();
    await Promise.all([parts.reconciler.stop(), parts.channel.stop()]);
  } finally {
    await unlock();
  }
}
