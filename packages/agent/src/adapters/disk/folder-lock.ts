import { join } from 'node:path';
import { folderLockHolder, lockFolder } from '@selvedge/runtime';

const lockPath = (dir: string) => join(dir, 'agent.lock');

/**
 * Takes the agent's folder for this process alone.
 *
 * @returns gives it free again.
 * @throws AppError DATA_FOLDER_LOCKED (user) when a living agent holds it.
 */
export function lockAgentFolder(dir: string): Promise<() => Promise<void>> {
  return lockFolder(lockPath(dir), {
    refusal: (pid) => ({
      message: `Another agent (process ${pid ?? 'unknown'}) works in ${dir}.`,
      hint: 'Stop it, or give this agent a folder of its own with --dir.',
    }),
  });
}

/** The process of the agent that works in the folder now; undefined when there is none. */
export function runningAgent(dir: string): Promise<number | undefined> {
  return folderLockHolder(lockPath(dir));
}
