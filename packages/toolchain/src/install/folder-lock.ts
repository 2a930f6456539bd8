import { join } from 'node:path';
import { lockFolder } from '@selvedge/runtime';

/**
 * Takes the folder of targets for one installer at a time.
 *
 * @param waitMs - how long to wait for the one that has it; default 0.
 * @returns gives it free.
 * @throws AppError DATA_FOLDER_LOCKED (user) when another process installs there; the signal's reason.
 */
export function lockTargets(folder: string, options: { waitMs?: number; signal?: AbortSignal } = {}): Promise<() => Promise<void>> {
  return lockFolder(join(folder, '.lock'), {
    ...options,
    refusal: (pid) => ({
      message: `Another process (${pid ?? 'unknown'}) installs or removes targets in ${folder}.`,
      hint: 'Wait until it is done, or stop it.',
    }),
  });
}
