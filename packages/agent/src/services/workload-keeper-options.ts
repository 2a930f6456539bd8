import type { Backoff, Logger } from '@selvedge/runtime';
import type { ModelHost } from '../ports/model-process.ts';
import type { ServingPort } from '../ports/serving-port.ts';
import type { TrialMeans } from '../ports/trial-means.ts';
import type { VersionStore } from '../ports/version-store.ts';
import type { HoldSources } from './update-holds.ts';

export interface KeeperOptions {
  name: string;
  store: VersionStore;
  host: ModelHost;
  port: ServingPort;
  /** Targets whose native packages this device runs. */
  targets: readonly string[];
  means: TrialMeans;
  holds: HoldSources;
  log: Logger;
  /** Unix milliseconds. */
  clock: () => number;
  /** Delays after failures of a version. */
  backoff: Backoff;
  /** The report has changed. */
  onChange: () => void;
  /** What `saved()` returns has changed; resolves when it is on disk. */
  onSave: () => Promise<void>;
  /** The workload is gone: stopped, collected, port closed. */
  onGone: () => void;
}
