import { DEVICE_CHANNEL_VERSION, type DeviceInfo, type ReportedState, type Upkeep, type WorkloadReport } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { DeviceChannel } from '../ports/device-channel.ts';
import type { StateStore } from '../ports/state-store.ts';

export interface ReporterOptions {
  channel: DeviceChannel;
  states: StateStore;
  instanceId: string;
  info: DeviceInfo;
  /** What is to be reported, as it is now. */
  workloads: () => WorkloadReport[];
  observedRevision: () => number;
  /** What else there is to say of the device. */
  standing: () => Pick<ReportedState, 'clockOffsetMs' | 'location' | 'trusts'>;
  /** What goes along with a report, but is no reason for one. */
  upkeep: () => Upkeep;
  log: Logger;
}

/** Changes that follow each other within this time become one message. */
const COALESCE_MS = 100;
/** A growing download alone is told this often. */
const PROGRESS_MS = 2000;

function withoutProgress(workloads: readonly WorkloadReport[]): string {
  return JSON.stringify(workloads.map((workload) => ({ ...workload, progress: null })));
}

/**
 * Tells the server what this device does: after each change and after each connection, always the newest state, one
 * message at a time. The last report is also kept on disk for `agent status`.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #sent = '';
  #saved = '';
  #sending = false;
  #stopped = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Something may have changed. Cheap: may be called as often as it likes. */
  changed(): void {
    if (this.#stopped) return;
    const isProgress = withoutProgress(this.#options.workloads()) === this.#saved;
    this.#schedule(isProgress ? PROGRESS_MS : COALESCE_MS);
  }

  /** Reports whether or not something changed: the server may have lost what it knew. */
  connected(): void {
    this.#sent = '';
    this.#schedule(0);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    const due = process.uptime() * 1000 + delayMs;
    if (due >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = due;
    this.#timer = setTimeout(() => void this.#flush(), delayMs);
  }

  async #flush(): Promise<void> {
    this.#dueMs = Number.POSITIVE_INFINITY;
    const workloads = this.#options.workloads();
    const observedRevision = this.#options.observedRevision();
    const { channel, log } = this.#options;
    await this.#keep(workloads, observedRevision);
    const text = JSON.stringify([workloads, observedRevision, this.#options.standing()]);
    if (this.#stopped || this.#sending || !channel.connected || text === this.#sent) return;
    this.#sending = true;
    this.#sent = text;
    try {
      await channel.publish('reported', this.#message(workloads, observedRevision));
    } catch (error) {
      this.#sent = '';
      log.debug('a report was not sent', describeError(error));
    } finally {
      this.#sending = false;
    }
    this.changed(); // what changed while it was on its way
  }

  #message(workloads: WorkloadReport[], observedRevision: number): ReportedState {
    this.#sequence += 1;
    const { instanceId, info, standing, upkeep } = this.#options;
    return {
      v: DEVICE_CHANNEL_VERSION,
      sequence: this.#sequence,
      instanceId,
      observedRevision,
      info,
      workloads,
      ...standing(),
      upkeep: upkeep(),
    };
  }

  async #keep(workloads: WorkloadReport[], observedRevision: number): Promise<void> {
    const text = withoutProgress(workloads);
    if (text === this.#saved) return;
    this.#saved = text;
    const { states, instanceId, info, log } = this.#options;
    try {
      await states.saveReport({ v: DEVICE_CHANNEL_VERSION, sequence: this.#sequence, instanceId, observedRevision, info, workloads });
    } catch (error) {
      log.warn('the report could not be kept on disk', describeError(error));
    }
  }
}
