import type { BlobStore } from '../ports/blob-store.ts';
import type { Store } from '../ports/store.ts';
import { readAll } from './read-all.ts';

const KEPT_MS = 400 * 86_400_000;

/**
 * Removes bundles that expired more than 400 days ago, and their statements. Revoked ones stay: what a device says that has applied one
 * is refused, however late it comes.
 *
 * @returns how many were removed.
 */
export async function pruneBundles(store: Store, blobs: Pick<BlobStore, 'delete'>, now: Date): Promise<number> {
  const before = now.getTime() - KEPT_MS;
  const bygone = (await readAll(store, 'Bundle')).filter(
    ({ spec, status }) => status.revoked === null && Date.parse(spec.expiresAt) < before,
  );
  for (const { metadata, spec } of bygone) {
    // The record last: a crash in between leaves it to the next time.
    await blobs.delete(spec.statement.sha256);
    await store.delete('Bundle', metadata.name);
  }
  return bygone.length;
}
