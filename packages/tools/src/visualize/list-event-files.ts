import { readdir } from 'node:fs/promises';
import { systemErrorCode } from '@selvedge/runtime';

export interface EventFilePath {
  /** `<artifact>/<tool>` */
  readonly key: string;
  /** Below the log folder. */
  readonly path: string;
}

/** The event files of a log folder, by artifact and tool; none when it is not there. */
export async function listEventFiles(logdir: string): Promise<EventFilePath[]> {
  const entries = await readdir(logdir, { recursive: true }).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((path) => path.includes('tfevents'))
    .map((path) => ({ path, key: path.slice(0, path.lastIndexOf('/')) }))
    .sort((one, other) => (one.path < other.path ? -1 : 1));
}
