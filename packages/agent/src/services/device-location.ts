import { type DeviceLocation, deviceLocationSchema } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';

export interface LocationOptions {
  /** As the settings say. */
  fixed: DeviceLocation | undefined;
  /** Content of the file that says where the device is now, JSON; undefined when there is none. */
  read: (() => Promise<string | undefined>) | undefined;
  onChange: () => void;
  log: Logger;
}

const LOOK_EVERY_MS = 60_000;

/** Where this device says that it is: from a file that something else on the device keeps, else from its settings. */
export class LocationSource {
  readonly #options: LocationOptions;
  #timer: NodeJS.Timeout | undefined;
  #found: DeviceLocation | undefined;
  #fault = '';

  constructor(options: LocationOptions) {
    this.#options = options;
  }

  get location(): DeviceLocation | undefined {
    return this.#found ?? this.#options.fixed;
  }

  async start(): Promise<void> {
    if (this.#options.read === undefined) return;
    await this.look();
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reads the file anew. One that is damaged, perhaps half written, changes nothing. */
  async look(): Promise<void> {
    const { read, onChange, log } = this.#options;
    try {
      const text = await read?.();
      const next = text === undefined || text.trim() === '' ? undefined : deviceLocationSchema.parse(JSON.parse(text));
      this.#fault = '';
      if (JSON.stringify(next) === JSON.stringify(this.#found)) return;
      this.#found = next;
      onChange();
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      if (fault !== this.#fault) log.warn('the location could not be read', describeError(error));
      this.#fault = fault;
    }
  }
}
