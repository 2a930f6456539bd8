import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileTransfers } from '../services/file-transfers.ts';
import type { TransferParts } from './transfers.ts';

/** What moves files, loaded when one is to: most agents never move any. */
export function lazyTransfers(parts: Omit<TransferParts, 'unfinishedDir'>) {
  const unfinishedDir = join(parts.dir, 'unfinished-folders');
  let opening: Promise<FileTransfers> | undefined;
  return {
    open: (): Promise<FileTransfers> => {
      opening ??= import('./transfers.ts').then(({ openTransfers }) => openTransfers({ ...parts, unfinishedDir }));
      return opening;
    },
    /** Finishes or undoes what an agent that was killed had begun to replace. */
    recover: async (): Promise<void> => {
      if ((await readdir(unfinishedDir).catch(() => [])).length === 0) return;
      const { UnfinishedFolders } = await import('../adapters/files/unfinished-folders.ts');
      await new UnfinishedFolders(unfinishedDir).settle(parts.log);
    },
    stop: async (): Promise<void> => (await opening)?.stop(),
  };
}
