import {
  DEVICE_CHANNEL_VERSION,
  type DesiredState,
  type DeviceTopic,
  desiredStateSchema,
  type SimulationProfile,
  type TelemetrySample,
  type Upkeep,
} from '@selvedge/contract';
import { LinkMeter, type ServerAccess } from '@selvedge/device-link';
import { type Logger, sleep } from '@selvedge/runtime';
import * as z from 'zod';
import { between, seededRandom } from '../domain/random.ts';
import { failed, judged, newWorkload, reportOf, type SimulatedWorkload, switched, withDesired } from '../domain/simulated-workload.ts';
import { DeviceSession } from './device-session.ts';
import { fetchVersion } from './fetch-version.ts';
import { DelayedLine } from './link.ts';
import type { Measurements } from './measurements.ts';
import type { Turns } from './turns.ts';

export interface SimulatedDeviceOptions {
  device: string;
  /** Its number, from 1: what it does by chance depends on it and the profile's seed. */
  number: number;
  access: ServerAccess;
  /** See DeviceSessionOptions.access. */
  messageAccess: () => Promise<ServerAccess>;
  profile: SimulationProfile;
  measurements: Measurements;
  turns: Turns;
  log: Logger;
}

const MIB = 1024 * 1024;
const MAX_SPOOLED = 1000;
/** More often than an agent, so that a simulation of minutes shows it. */
const LINK_EVERY_MS = 30_000;
const commandHeadSchema = z.object({ id: z.string() });

/** One device: connects, samples itself, follows its desired state, and fails as often as the profile says. */
export class SimulatedDevice {
  readonly #options: SimulatedDeviceOptions;
  readonly #random: () => number;
  readonly #session: DeviceSession;
  readonly #link = new LinkMeter(() => performance.now());
  #linkSaidMs = Number.NEGATIVE_INFINITY;
  readonly #abort = new AbortController();
  readonly #workloads = new Map<string, SimulatedWorkload>();
  readonly #updates = new Map<string, AbortController>();
  #spool: TelemetrySample[] = [];
  #revision = 0;
  #sequence = 0;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: SimulatedDeviceOptions) {
    this.#options = options;
    const { profile, number, device, messageAccess, measurements, turns, log } = options;
    this.#random = seededRandom(profile.seed * 1_000_003 + number);
    this.#session = new DeviceSession({
      device,
      access: messageAccess,
      uplink: new DelayedLine(profile.link, this.#random),
      downlink: new DelayedLine(profile.link, this.#random),
      measurements,
      link: this.#link,
      turns,
      log,
      onConnected: () => this.#connected(),
      onMessage: (topic, payload) => this.#receive(topic, payload),
    });
  }

  start(): void {
    const { profile } = this.#options;
    const intervalMs = profile.telemetryIntervalS * 1000;
    // Devices were not switched on in step.
    const first = setTimeout(() => {
      this.#sample();
      this.#timers.push(setInterval(() => this.#sample(), intervalMs));
    }, this.#random() * intervalMs);
    this.#timers.push(first);
    this.#planOutage();
    this.#session.start();
  }

  stop(): void {
    this.#abort.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const update of this.#updates.values()) update.abort();
    this.#session.stop();
  }

  #planOutage(): void {
    const { outage } = this.#options.profile;
    if (outage === undefined || this.#random() >= outage.share) return;
    const next = () => {
      const timer = setTimeout(
        () => {
          this.#session.cut(outage.forS * 1000);
          next();
        },
        outage.everyS * 1000 * (0.5 + this.#random()),
      );
      this.#timers = [...this.#timers.slice(-2), timer];
    };
    next();
  }

  #connected(): void {
    this.#report();
    this.#sample();
  }

  #sample(): void {
    const { profile } = this.#options;
    const memoryTotalBytes = 1024 * MIB;
    this.#spool.push({
      at: new Date().toISOString(),
      cpu: Math.round(this.#random() * 1000) / 1000,
      memoryUsedBytes: Math.round(memoryTotalBytes * (0.3 + 0.2 * this.#random())),
      memoryTotalBytes,
      diskUsedBytes: 3000 * MIB,
      diskTotalBytes: 16_000 * MIB,
      temperatureC: Math.round(400 + 200 * this.#random()) / 10,
      networkRxBytes: 0,
      networkTxBytes: 0,
      agentRssBytes: 48 * MIB,
    });
    if (this.#spool.length > MAX_SPOOLED) this.#spool.shift();
    if (this.#spool.length >= profile.samplesPerBatch && this.#session.connected) void this.#sendTelemetry();
  }

  async #sendTelemetry(): Promise<void> {
    const { measurements } = this.#options;
    const samples = this.#spool;
    this.#spool = [];
    measurements.samplesSent += samples.length;
    const tookMs = await this.#session.publish('telemetry', { v: DEVICE_CHANNEL_VERSION, samples, ...this.#upkeepIfDue() });
    if (tookMs === undefined) {
      this.#spool = [...samples, ...this.#spool].slice(-MAX_SPOOLED);
      return;
    }
    measurements.samplesAcknowledged += samples.length;
    measurements.telemetryAckMs.add(tookMs);
  }

  #upkeep(): { upkeep?: Upkeep } {
    const link = this.#link.standing();
    return link === undefined ? {} : { upkeep: { link } };
  }

  #upkeepIfDue(): { upkeep?: Upkeep } {
    const nowMs = performance.now();
    if (nowMs - this.#linkSaidMs < LINK_EVERY_MS) return {};
    const upkeep = this.#upkeep();
    if (upkeep.upkeep !== undefined) this.#linkSaidMs = nowMs;
    return upkeep;
  }

  #receive(topic: DeviceTopic, payload: Uint8Array): void {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    if (topic === 'desired') this.#follow(desiredStateSchema.parse(value));
    const command = topic === 'commands' ? commandHeadSchema.safeParse(value) : undefined;
    if (command?.success === true) {
      const error = { code: 'INPUT_INVALID', message: 'A simulated device takes no commands.' };
      void this.#session.publish('replies', { v: DEVICE_CHANNEL_VERSION, id: command.data.id, outcome: { ok: false, error } });
    }
  }

  #follow(desired: DesiredState): void {
    if (desired.revision < this.#revision) return;
    const { device, measurements } = this.#options;
    const nowMs = Date.now();
    this.#revision = desired.revision;
    for (const [name, known] of this.#workloads) {
      if (desired.workloads.some((wanted) => wanted.name === name)) continue;
      this.#updates.get(name)?.abort();
      this.#workloads.delete(name);
      this.#countServing(known, undefined);
    }
    for (const wanted of desired.workloads) {
      measurements.ordered(`${wanted.name} ${wanted.version}`, device, nowMs);
      const known = this.#workloads.get(wanted.name);
      if (known !== undefined && JSON.stringify(known.desired) === JSON.stringify(wanted)) continue;
      this.#set(wanted.name, withDesired(known ?? newWorkload(wanted), wanted));
      this.#updates.get(wanted.name)?.abort();
      if (known?.servingVersion === wanted.version) continue;
      const update = new AbortController();
      this.#updates.set(wanted.name, update);
      this.#update(wanted.name, update.signal).catch((error: unknown) => this.#updateFailed(wanted.name, update.signal, error));
    }
    this.#report();
  }

  async #update(name: string, signal: AbortSignal): Promise<void> {
    const { profile, access, measurements } = this.#options;
    const wanted = this.#workloads.get(name)?.desired;
    if (wanted === undefined) return;
    const failsNow = this.#random() < profile.updates.failShare;
    if (profile.updates.download) {
      this.#change(name, (workload) => ({ ...workload, state: 'fetching' }));
      const onBytes = (count: number) => {
        measurements.downloads.bytes += count;
      };
      const onFile = (bytes: number, tookMs: number) => this.#link.downloaded(bytes, tookMs);
      await fetchVersion(wanted, { access, bytesPerS: profile.link.bytesPerS, onBytes, onFile, signal });
      measurements.downloads.count += 1;
    }
    this.#change(name, (workload) => ({ ...workload, state: 'starting' }));
    await sleep(between(profile.updates.startMs, this.#random), signal);
    const { trial } = wanted;
    if (trial === undefined && failsNow) {
      this.#change(name, (workload) => failed(workload, new Date().toISOString(), 'The model server ended with exit code 1 (simulated).'));
      return;
    }
    this.#change(name, (workload) => switched(workload, new Date().toISOString()));
    if (trial === undefined) return;
    await sleep(trial.durationS * 1000, signal);
    this.#change(name, (workload) => judged(workload, !failsNow, new Date().toISOString()));
  }

  #updateFailed(name: string, signal: AbortSignal, error: unknown): void {
    if (signal.aborted || this.#abort.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    const { measurements } = this.#options;
    measurements.downloads.failed += 1;
    measurements.failed(message);
    this.#change(name, (workload) => failed(workload, new Date().toISOString(), message));
    // An agent tries a broken download again by itself.
    this.#timers.push(setTimeout(() => void this.#update(name, signal).catch((again) => this.#updateFailed(name, signal, again)), 10_000));
  }

  #change(name: string, change: (workload: SimulatedWorkload) => SimulatedWorkload): void {
    const known = this.#workloads.get(name);
    if (known === undefined) return;
    this.#set(name, change(known));
    this.#report();
  }

  #set(name: string, workload: SimulatedWorkload): void {
    this.#countServing(this.#workloads.get(name), workload);
    this.#workloads.set(name, workload);
  }

  #countServing(before: SimulatedWorkload | undefined, after: SimulatedWorkload | undefined): void {
    const { measurements } = this.#options;
    const key = (workload: SimulatedWorkload | undefined) =>
      workload === undefined || workload.servingVersion === null ? undefined : `${workload.desired.name} ${workload.servingVersion}`;
    const [from, to] = [key(before), key(after)];
    if (from === to) return;
    if (from !== undefined) measurements.serves(from, -1);
    if (to !== undefined) measurements.serves(to, 1);
  }

  #report(): void {
    if (!this.#session.connected) return;
    const { device } = this.#options;
    this.#sequence += 1;
    void this.#session.publish('reported', {
      v: DEVICE_CHANNEL_VERSION,
      sequence: this.#sequence,
      instanceId: this.#session.instanceId,
      observedRevision: this.#revision,
      info: {
        agentVersion: 'simulated',
        hostname: device,
        arch: 'x64',
        platform: 'linux',
        osRelease: 'simulated',
        cpuModel: 'simulated',
        cpus: 4,
        memoryBytes: 1024 * MIB,
      },
      workloads: [...this.#workloads.values()].map(reportOf),
      ...this.#upkeep(),
    });
  }
}
