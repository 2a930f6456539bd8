import type { Backoff, Logger } from '@selvedge/runtime';
import type { ModelHost } from '../ports/model-process.ts';
import type { ServingPort } from '../ports/serving-port.ts';
import type { TrialMeans } from '../ports/trial-means.ts';
import type { VersionStore } from '../ports/version-store.ts';
import type { HoldSources } from './update-holds.ts';

/** What every workload of a device is kept with. */
export interface KeeperContext {
  host: ModelHost;
  /** Targets whose native packages this device runs, the best first. */
  targets: readonly string[];
  means: TrialMeans;
  holds: HoldSources;
  log: Logger;
  /** Milliseconds that nobody sets: for how long something lasts or waits. */
  clock: () => number;
  /** What time it is, Unix milliseconds: for windows, and for what people read. */
  time: () => number;
  /** Delays after failures of a version. */
  backoff: Backoff;
  /** A report has changed. */
  onChange: () => void;
}

export interface KeeperOptions extends KeeperContext {
  name: string;
  store: VersionStore;
  port: ServingPort;
  /** What `saved()` returns has changed; resolves when it is on disk. */
  onSave: () => Promise<void>;
  /** The workload is gone: stopped, collected, port closed. */
  onGone: () => void;
}
