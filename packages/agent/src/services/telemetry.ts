import { DEVICE_CHANNEL_VERSION, type TelemetrySample } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { DeviceChannel } from '../ports/device-channel.ts';
import type { Sensors } from '../ports/sensors.ts';

export interface TelemetryOptions {
  sensors: Sensors;
  channel: DeviceChannel;
  /** Between samples, milliseconds. */
  intervalMs: number;
  /** Between batches, milliseconds. */
  batchMs: number;
  clock: () => number;
  /** What the server's clock shows when this machine's shows this; Unix milliseconds. */
  toServerTime: (ms: number) => number;
  log: Logger;
}

/** Samples kept while offline: at one a minute 16 hours, 200 kB; then the oldest go. Also the most that one batch may have. */
const MAX_SPOOLED = 1000;

/** Samples the device at a steady pace and sends batches; what could not be sent waits in a bounded spool in memory. */
export class Telemetry {
  readonly #options: TelemetryOptions;
  readonly #spool: TelemetrySample[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lastSampleMs = Number.NEGATIVE_INFINITY;
  #lastBatchMs = Number.NEGATIVE_INFINITY;
  #sending = false;

  constructor(options: TelemetryOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.#options.sensors.sample(new Date(this.#options.clock())); // so that the first sample has a cpu share
    this.#timer = setInterval(() => void this.#tick(), this.#options.intervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Sends what is there and a fresh sample: the server need not wait for the next batch to know the device. */
  async connected(): Promise<void> {
    // A connection that comes and goes must not fill the spool.
    if (this.#options.clock() - this.#lastSampleMs >= Math.min(this.#options.intervalMs, 5000)) await this.#sample();
    await this.#send();
  }

  async #tick(): Promise<void> {
    await this.#sample();
    // Half an interval of slack, so that a late timer does not put a batch off by a whole one.
    if (this.#options.clock() - this.#lastBatchMs >= this.#options.batchMs - this.#options.intervalMs / 2) await this.#send();
  }

  async #sample(): Promise<void> {
    const now = this.#options.clock();
    try {
      this.#spool.push(await this.#options.sensors.sample(new Date(now)));
      this.#lastSampleMs = now;
    } catch (error) {
      this.#options.log.warn('no telemetry sample', describeError(error));
    }
    if (this.#spool.length > MAX_SPOOLED) this.#spool.splice(0, this.#spool.length - MAX_SPOOLED);
  }

  async #send(): Promise<void> {
    const { channel, clock, log, toServerTime } = this.#options;
    if (!channel.connected || this.#sending || this.#spool.length === 0) return;
    this.#sending = true;
    this.#lastBatchMs = clock();
    const samples = [...this.#spool];
    try {
      await channel.publish('telemetry', {
        v: DEVICE_CHANNEL_VERSION,
        samples: samples.map((sample) => ({ ...sample, at: new Date(toServerTime(Date.parse(sample.at))).toISOString() })),
      });
      const sent = new Set(samples);
      this.#spool.splice(0, this.#spool.length, ...this.#spool.filter((sample) => !sent.has(sample)));
    } catch (error) {
      log.debug('a telemetry batch was not sent', describeError(error));
    } finally {
      this.#sending = false;
    }
  }
}
