import { X509Certificate } from 'node:crypto';
import { AppError } from '@selvedge/contract';
import { sha256Of } from '@selvedge/device-link';
import { BundleFolder } from '../adapters/disk/bundle-folder.ts';
import { readIdentity, type StoredIdentity } from '../adapters/disk/identity-folder.ts';
import type { BundleMemory } from '../domain/bundle-order.ts';

/** Who this device is and what it remembers of bundles, for as long as nobody else works on them. */
export interface BundleState {
  folder: BundleFolder;
  stored: StoredIdentity;
  certificateSha256: string;
  memory: BundleMemory;
}

/**
 * Does something with the bundles of an agent's folder, alone.
 *
 * @throws AppError CONFLICT (user) when the folder has not joined; DATA_FOLDER_LOCKED (user); DISK_FULL (operational).
 */
export async function withBundles<T>(dir: string, work: (state: BundleState) => Promise<T>): Promise<T> {
  const stored = await readIdentity(dir);
  if (stored === undefined)
    throw new AppError('CONFLICT', {
      message: `${dir} has not joined a server.`,
      hint: 'Run: selvedge-agent join URL --token T --dir DIR',
    });
  const folder = new BundleFolder(dir);
  await folder.make();
  const unlock = await folder.lock();
  try {
    const memory = await folder.readMemory(stored.identity.caSha256);
    return await work({ folder, stored, certificateSha256: sha256Of(new X509Certificate(stored.certPem)), memory });
  } finally {
    await unlock();
  }
}
