import type { SimulationReport } from '@selvedge/contract';
import { Arrivals, Sample } from '../domain/statistics.ts';

const MAX_ERRORS = 20;

/** What all devices of one simulation have seen together. */
export class Measurements {
  joined = 0;
  online = 0;
  disconnects = 0;
  failedConnects = 0;
  samplesSent = 0;
  samplesAcknowledged = 0;
  readonly downloads = { count: 0, bytes: 0, failed: 0 };
  readonly telemetryAckMs = new Sample();
  readonly connectMs = new Sample();
  readonly #orders = new Map<string, Arrivals>();
  readonly #serving = new Map<string, number>();
  readonly #errors = new Set<string>();

  ordered(order: string, device: string, atMs: number): void {
    const arrivals = this.#orders.get(order) ?? new Arrivals();
    this.#orders.set(order, arrivals);
    arrivals.add(device, atMs);
  }

  /** One device more (1) or less (-1) serves this. */
  serves(what: string, change: 1 | -1): void {
    const count = (this.#serving.get(what) ?? 0) + change;
    if (count === 0) this.#serving.delete(what);
    else this.#serving.set(what, count);
  }

  failed(message: string): void {
    if (this.#errors.size < MAX_ERRORS) this.#errors.add(message.slice(0, 300));
  }

  report(event: SimulationReport['event'], devices: number, elapsedS: number): SimulationReport {
    const { joined, online, disconnects, failedConnects, samplesSent, samplesAcknowledged } = this;
    return {
      event,
      elapsedS,
      devices,
      joined,
      online,
      disconnects,
      failedConnects,
      samplesSent,
      samplesAcknowledged,
      downloads: { ...this.downloads },
      telemetryAckMs: this.telemetryAckMs.quantiles(),
      connectMs: this.connectMs.quantiles(),
      orders: Object.fromEntries([...this.#orders].map(([order, arrivals]) => [order, arrivals.summary()])),
      serving: Object.fromEntries(this.#serving),
      errors: [...this.#errors],
    };
  }
}
