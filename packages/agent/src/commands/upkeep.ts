import { join } from 'node:path';
import { AppError, type DeviceBudgets, type ResultSummary, type Upkeep, type WorkloadReport } from '@selvedge/contract';
import { LinkMeter } from '@selvedge/device-link';
import type { DownloadResponse, Logger } from '@selvedge/runtime';
import { DiskSpool } from '../adapters/disk/disk-spool.ts';
import { FolderStateStore } from '../adapters/disk/state-folder.ts';
import { readTraffic, writeTraffic } from '../adapters/disk/traffic-file.ts';
import { measureDownload } from '../adapters/sensors/measure-download.ts';
import { TrafficMeter } from '../adapters/sensors/traffic-meter.ts';
import { readWifiDbm } from '../adapters/sensors/wifi-signal.ts';
import { type EffectiveBudgets, effectiveBudgets } from '../domain/effective-budgets.ts';
import type { DeviceChannel } from '../ports/device-channel.ts';
import type { ModelProcess } from '../ports/model-process.ts';
import type { Sensors } from '../ports/sensors.ts';
import { Budgets, type Limits } from '../services/budgets.ts';
import type { ResultsWatch } from '../services/results-watch.ts';
import { Telemetry } from '../services/telemetry.ts';
import type { Settings } from './settings.ts';

const MIB = 1024 * 1024;
const DEFAULT_SPOOL_MIB = 16;

export const spoolFolder = (dir: string): string => join(dir, 'spool');
export const spoolBytes = ({ spoolMiB = DEFAULT_SPOOL_MIB }: DeviceBudgets): number => Math.round(spoolMiB * MIB);

export function limitsOf({ values, inEffect }: EffectiveBudgets): Limits {
  const { trafficMiBPerDay, diskMiB, memoryLimitMiB, cpuLimit, defer } = values;
  const bytes = (mebibytes: number | undefined) => (mebibytes === undefined ? null : Math.round(mebibytes * MIB));
  return {
    trafficBytes: bytes(trafficMiBPerDay),
    diskBytes: bytes(diskMiB),
    memoryBytes: bytes(memoryLimitMiB),
    cpus: cpuLimit ?? null,
    deferKept: defer?.telemetry === 'untilUnmetered',
    inEffect,
  };
}

const intervalsOf = ({ telemetryIntervalS = 60, telemetryBatchS = 300 }: DeviceBudgets) => ({
  intervalMs: telemetryIntervalS * 1000,
  batchMs: telemetryBatchS * 1000,
});

/** What the server has told last, also to an agent that has ended. */
export async function readToldBudgets(dir: string, log: Logger): Promise<DeviceBudgets | undefined> {
  return (await new FolderStateStore(dir, log).load())?.desired?.budgets;
}

export interface UpkeepOptions {
  dir: string;
  device: string;
  settings: Settings;
  /** What the server has told last. */
  told: DeviceBudgets | undefined;
  log: Logger;
  /** This machine's. */
  clock: () => number;
  serverNow: () => number;
  onChange: () => void;
}

/** Whether the link is metered: as it was set, else as the system says. */
async function metering({ metered = 'auto' }: DeviceBudgets): Promise<'metered' | 'unmetered' | 'unknown'> {
  // That a link was said not to be metered lifts no budget: it says what may be fetched, not how much.
  if (metered !== 'auto') return metered ? 'metered' : 'unknown';
  const { askLinkMetering } = await import('../adapters/trial/metered-link.ts');
  return askLinkMetering();
}

/** What the agent keeps to be sent, and what it may use of the device. */
export async function openUpkeep({ dir, device, settings, told, log, clock, serverNow, onChange }: UpkeepOptions) {
  const meter = new TrafficMeter();
  const link = new LinkMeter(() => performance.now());
  link.wifiDbm = await readWifiDbm();
  const linkOf = (): Pick<Upkeep, 'link'> => {
    const standing = link.standing();
    return standing === undefined ? {} : { link: standing };
  };
  let effective = effectiveBudgets(settings, told);
  const budgets = new Budgets({
    limits: limitsOf(effective),
    takeBytes: () => meter.take(),
    counted: await readTraffic(dir),
    keep: (count) => writeTraffic(dir, count),
    isMetered: async () => (await metering(effective.values)) === 'metered',
    isUnmetered: async () => (await metering(effective.values)) === 'unmetered',
    // Loaded seldom, and not needed to serve.
    diskBytes: async () => (await import('../adapters/disk/disk-use.ts')).folderBytes(dir),
    clock: serverNow,
    onChange,
  });
  const spool = await DiskSpool.open({ folder: spoolFolder(dir), device, budgetBytes: spoolBytes(effective.values), log });
  let running: Telemetry | undefined;
  const upkeep = async (): Promise<Upkeep> => {
    await budgets.save();
    link.wifiDbm = await readWifiDbm();
    return { spool: spool.stats(), budgets: await budgets.standing(), ...linkOf() };
  };
  return {
    spool,
    budgets,
    link,
    /** What holds, as it is now. */
    values: () => effective.values,
    /** The server has told other budgets. */
    tell: (now: DeviceBudgets | undefined) => {
      effective = effectiveBudgets(settings, now);
      budgets.setLimits(limitsOf(effective));
      spool.budgetBytes = spoolBytes(effective.values);
      running?.setIntervals(intervalsOf(effective.values));
      log.info('budgets were changed by the server', { inEffect: effective.inEffect });
    },
    onSocket: (socket: Parameters<TrafficMeter['watch']>[0]) => meter.watch(socket),
    holds: {
      isMetered: () => budgets.isMetered(),
      trafficWait: () => budgets.trafficWait(),
    },
    /** As far as it is known without looking. */
    known: (): Upkeep => ({ spool: spool.stats(), budgets: budgets.known(), ...linkOf() }),
    needRoom: async (bytes: number) => (await import('../adapters/disk/disk-use.ts')).needRoom(dir, budgets.limits.diskBytes, bytes),
    /** Measures a download; refuses it, or ends it, when the bytes of the day are used up. */
    metered: async (open: () => Promise<DownloadResponse>): Promise<DownloadResponse> => {
      const refuse = ({ message }: { message: string }) =>
        new AppError('RATE_LIMITED', { message: `${message} The download goes on when it may.` });
      const wait = await budgets.trafficWait();
      if (wait !== null) throw refuse(wait);
      const response = await open();
      response.body.on('data', () => {
        if (budgets.isUsedUp) void budgets.trafficWait().then((late) => late !== null && response.body.destroy(refuse(late)));
      });
      return measureDownload(response, link);
    },
    telemetry: (parts: {
      sensors: Sensors;
      channel: DeviceChannel;
      workloads: () => readonly WorkloadReport[];
      serving: (workload: string) => ModelProcess | undefined;
    }) => {
      const { sensors, channel, workloads, serving } = parts;
      let results: ResultsWatch | undefined;
      const resultsOptions = {
        workloads,
        serving,
        intervalMs: () => (effective.values.resultsIntervalS ?? 300) * 1000,
        clock,
        keep: (summary: ResultSummary) => spool.append({ kind: 'results', results: summary }),
        log,
      };
      running = new Telemetry({
        sensors,
        channel,
        spool,
        ...intervalsOf(effective.values),
        lookAtResults: async () => {
          // Loaded with the first model only.
          if (results === undefined && workloads().length > 0)
            results = new (await import('../services/results-watch.ts')).ResultsWatch(resultsOptions);
          await results?.look();
        },
        mustWait: async (what) => (await budgets.waitOf(what)) !== null,
        upkeep,
        clock,
        random: Math.random,
        log,
      });
      return running;
    },
    close: async () => {
      await spool.close();
      await budgets.save(true);
    },
  };
}
export type UpkeepParts = Awaited<ReturnType<typeof openUpkeep>>;
