import type { Operation } from '@selvedge/contract';
import { isSettledState } from '../domain/operation-plan.ts';
import type { Store } from '../ports/store.ts';

const KEPT_MS = 30 * 86_400_000;
const MAX_KEPT = 10_000;
const PAGE = 200;

/**
 * Removes operations that ended more than 30 days ago, and the oldest beyond 10,000. What has not ended stays.
 *
 * @param visit - is called with each that stays.
 * @returns how many were removed.
 */
export async function pruneOperations(store: Store, now: Date, visit: (operation: Operation) => void): Promise<number> {
  const names: string[] = [];
  await eachOperation(store, ({ metadata }) => names.push(metadata.name));
  const surplus = new Set(names.slice(0, Math.max(0, names.length - MAX_KEPT))); // names sort by time
  const bygone: string[] = [];
  const before = new Date(now.getTime() - KEPT_MS).toISOString();
  await eachOperation(store, (operation) => {
    const { name } = operation.metadata;
    const { state, finishedAt } = operation.status;
    const isOld = surplus.has(name) || (finishedAt ?? operation.metadata.updatedAt) < before;
    if (isSettledState(state) && isOld) bygone.push(name);
    else visit(operation);
  });
  for (const name of bygone) await store.delete('Operation', name);
  return bygone.length;
}

async function eachOperation(store: Store, visit: (operation: Operation) => void): Promise<void> {
  for (let after: string | null | undefined; after !== null; ) {
    const page = await store.list('Operation', { limit: PAGE, ...(after === undefined ? {} : { after }) });
    for (const one of page.items) visit(one);
    after = page.next;
  }
}

/** Digests of the content that an operation brings or has brought. */
export function contentOf({ spec, status }: Operation): string[] {
  const sent = status.devices.flatMap(({ file }) => (file === null ? [] : [file.sha256]));
  return 'file' in spec.task ? [spec.task.file.sha256, ...sent] : sent;
}
