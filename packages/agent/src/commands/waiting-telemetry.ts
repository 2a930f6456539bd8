import { AppError, type TelemetryBatch } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { BundleFolder } from '../adapters/disk/bundle-folder.ts';
import { DiskSpool } from '../adapters/disk/disk-spool.ts';
import { lockAgentFolder } from '../adapters/disk/folder-lock.ts';
import { TelemetryHandover } from '../adapters/disk/telemetry-handover.ts';
import { effectiveBudgets } from '../domain/effective-budgets.ts';
import { copyWaiting } from '../services/spool-copy.ts';
import { readSettings } from './settings.ts';
import { readToldBudgets, spoolBytes, spoolFolder } from './upkeep.ts';

/**
 * What waits in the spool of this device; it stays there, and does no harm when it is sent as well. An agent that runs is asked for it.
 *
 * @returns undefined when the agent that runs does not answer.
 */
export async function waitingTelemetry(dir: string, device: string): Promise<TelemetryBatch[] | undefined> {
  let unlock: () => Promise<void>;
  try {
    unlock = await lockAgentFolder(dir);
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'DATA_FOLDER_LOCKED')) throw error;
    return new TelemetryHandover(new BundleFolder(dir).path).ask();
  }
  try {
    const log = createLogger({ name: 'agent', level: 'warn' });
    const { values } = effectiveBudgets(await readSettings(dir), await readToldBudgets(dir, log));
    const spool = await DiskSpool.open({ folder: spoolFolder(dir), device, budgetBytes: spoolBytes(values), log });
    const found: TelemetryBatch[] = [];
    await copyWaiting(spool, (batch) => void found.push(batch));
    await spool.close();
    return found;
  } finally {
    await unlock();
  }
}
