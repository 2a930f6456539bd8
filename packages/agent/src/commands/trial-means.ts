import { freemem } from 'node:os';
import { join } from 'node:path';
import type { DownloadResponse, Logger } from '@selvedge/runtime';
import type { TrialMeans } from '../ports/trial-means.ts';

export interface TrialMeansOptions {
  /** The agent's folder. */
  dir: string;
  /** `import.meta.url` of the program. */
  mainUrl: string;
  openBlob: (sha256: string, offset: number, signal: AbortSignal) => Promise<DownloadResponse>;
  temperatureC: () => Promise<number | null>;
  log: Logger;
}

/** What trials need; each part is loaded when the first trial needs it. */
export function trialMeans({ dir, mainUrl, openBlob, temperatureC, log }: TrialMeansOptions): TrialMeans {
  return {
    temperatureC,
    // What the control group of this process leaves, too; Node before 20.13 does not know that.
    availableBytes: () => process.availableMemory?.() ?? freemem(),
    async askGolden(request, signal) {
      const { fetchAndAskGolden } = await import('../adapters/trial/fetch-golden.ts');
      const { askGoldenInChild } = await import('./trial-programs.ts');
      const ask = (file: string, ports: { port: number; previousPort: number | null }) =>
        askGoldenInChild(mainUrl, dir, file, ports, signal);
      return fetchAndAskGolden({ folder: join(dir, 'golden'), openBlob, ask, log }, request, signal);
    },
    async startProxy(request, signal) {
      const { startTrialProxy } = await import('../adapters/process/start-trial-proxy.ts');
      const { trialProxyCommand } = await import('./trial-programs.ts');
      return startTrialProxy(trialProxyCommand(mainUrl), request, log, signal);
    },
  };
}
