import { watch } from 'node:fs';

/** Calls back when something in the folder changes, as far as the system tells. @returns ends that. */
export function watchFolder(path: string, onChange: () => void): () => void {
  try {
    const watcher = watch(path, { persistent: false }, onChange);
    watcher.on('error', () => undefined); // the folder is looked at now and then anyway
    return () => watcher.close();
  } catch {
    return () => undefined;
  }
}
