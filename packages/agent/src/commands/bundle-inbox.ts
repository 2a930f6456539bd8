import type { DesiredState, WorkloadReport } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import { BundleFolder } from '../adapters/disk/bundle-folder.ts';
import { TelemetryHandover } from '../adapters/disk/telemetry-handover.ts';
import { watchFolder } from '../adapters/disk/watch-folder.ts';
import type { Spool } from '../ports/spool.ts';
import { BundleInbox } from '../services/bundle-inbox.ts';
import { copyWaiting } from '../services/spool-copy.ts';

export interface InboxOptions {
  /** The agent's folder. */
  dir: string;
  /** sha256 of the authority by which the device knows its server. */
  authoritySha256: string;
  apply: (desired: DesiredState) => Promise<void>;
  /** What could not be fetched may be there now. */
  arrived: () => void;
  /** What waits to be sent. */
  spool: Pick<Spool, 'nextBatch' | 'release' | 'acknowledge'>;
  observedRevision: () => number;
  reports: () => WorkloadReport[];
  log: Logger;
}

/** The end of the running agent that bundles arrive at. */
export async function openInbox({ dir, authoritySha256, spool, ...options }: InboxOptions): Promise<BundleInbox> {
  const folder = new BundleFolder(dir);
  await folder.make();
  const handover = new TelemetryHandover(folder.path);
  return new BundleInbox({
    ...options,
    answer: () => handover.answer((take) => copyWaiting(spool, take)),
    acknowledge: async ({ spool: spoolId, ranges }) => {
      for (const range of ranges) await spool.acknowledge({ spoolId, ...range }, true);
    },
    orders: () => folder.orders(),
    memory: () => folder.readMemory(authoritySha256),
    remove: (id) => folder.remove(id),
    watch: (onChange) => watchFolder(folder.path, onChange),
  });
}
