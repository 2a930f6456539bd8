import { readdir, readFile, statfs } from 'node:fs/promises';
import { arch, cpus, hostname, platform, release, totalmem } from 'node:os';
import type { DeviceInfo, TelemetrySample } from '@selvedge/contract';
import type { Sensors } from '../../ports/sensors.ts';

/** Text of a file of the kernel; undefined where the machine has none such. */
async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined; // not Linux, or no such sensor: reported as null
  }
}

/** Busy and total time of all cores since boot, in ticks. */
export function parseCpuTicks(stat: string): { busy: number; total: number } | undefined {
  const line = /^cpu\s+(.+)$/m.exec(stat)?.[1];
  if (line === undefined) return undefined;
  // user nice system idle iowait irq softirq steal; guest time is in user already.
  const ticks = line.trim().split(/\s+/).slice(0, 8).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return Number.isFinite(total) ? { busy: total - idle, total } : undefined;
}

export function parseMemory(meminfo: string): { usedBytes: number; totalBytes: number } | undefined {
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? Number.NaN);
  const totalBytes = kib('MemTotal') * 1024;
  const usedBytes = totalBytes - kib('MemAvailable') * 1024;
  return Number.isFinite(usedBytes) ? { usedBytes, totalBytes } : undefined;
}

/** Received and sent bytes of all interfaces but loopback. */
export function parseNetwork(dev: string): { rxBytes: number; txBytes: number } {
  let rxBytes = 0;
  let txBytes = 0;
  for (const line of dev.split('\n')) {
    const [, name, rest] = /^\s*([^:\s]+):\s*(.+)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined || name === 'lo') continue;
    const fields = rest.trim().split(/\s+/).map(Number);
    rxBytes += fields[0] ?? 0;
    txBytes += fields[8] ?? 0;
  }
  return { rxBytes, txBytes };
}

/** Reads /proc and /sys; on another system most values are null. */
export class LinuxSensors implements Sensors {
  readonly #folder: string;
  #ticks: { busy: number; total: number } | undefined;
  #zones: string[] | undefined;

  /** @param folder - whose disk is measured. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async sample(at: Date): Promise<TelemetrySample> {
    const [stat, meminfo, dev, disk, temperatureC] = await Promise.all([
      readOptional('/proc/stat'),
      readOptional('/proc/meminfo'),
      readOptional('/proc/net/dev'),
      this.#disk(),
      this.temperatureC(),
    ]);
    const memory = meminfo === undefined ? undefined : parseMemory(meminfo);
    const network = dev === undefined ? undefined : parseNetwork(dev);
    return {
      at: at.toISOString(),
      cpu: this.#cpu(stat),
      memoryUsedBytes: memory?.usedBytes ?? null,
      memoryTotalBytes: memory?.totalBytes ?? null,
      diskUsedBytes: disk?.usedBytes ?? null,
      diskTotalBytes: disk?.totalBytes ?? null,
      temperatureC,
      networkRxBytes: network?.rxBytes ?? null,
      networkTxBytes: network?.txBytes ?? null,
      agentRssBytes: process.memoryUsage.rss(),
    };
  }

  /** The hottest thermal zone; null on machines without any, e.g. in a virtual machine. */
  async temperatureC(): Promise<number | null> {
    const root = '/sys/class/thermal';
    this.#zones ??= await readdir(root).then(
      (names) => names.filter((name) => name.startsWith('thermal_zone')),
      () => [],
    );
    const texts = await Promise.all(this.#zones.map((zone) => readOptional(`${root}/${zone}/temp`)));
    const degrees = texts.map((text) => Number(text ?? Number.NaN) / 1000).filter((value) => value > -100 && value < 250);
    return degrees.length === 0 ? null : Math.round(Math.max(...degrees) * 10) / 10;
  }

  describe(agentVersion: string): DeviceInfo {
    const cores = cpus();
    return {
      agentVersion,
      hostname: hostname().slice(0, 253),
      arch: arch(),
      platform: platform(),
      osRelease: release().slice(0, 256),
      cpuModel: (cores[0]?.model ?? '').slice(0, 256),
      cpus: cores.length,
      memoryBytes: totalmem(),
    };
  }

  #cpu(stat: string | undefined): number | null {
    const before = this.#ticks;
    const now = stat === undefined ? undefined : parseCpuTicks(stat);
    if (now === undefined) return null;
    this.#ticks = now;
    if (before === undefined || now.total <= before.total) return null;
    const share = (now.busy - before.busy) / (now.total - before.total);
    return Math.round(Math.min(1, Math.max(0, share)) * 1000) / 1000;
  }

  async #disk(): Promise<{ usedBytes: number; totalBytes: number } | undefined> {
    try {
      const { blocks, bfree, bsize } = await statfs(this.#folder);
      return { usedBytes: (blocks - bfree) * bsize, totalBytes: blocks * bsize };
    } catch {
      return undefined; // reported as null
    }
  }
}
