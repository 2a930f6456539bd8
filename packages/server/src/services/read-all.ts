import type { Kind } from '@selvedge/contract';
import type { ResourceOf, ResourceStore } from '../ports/store.ts';

const PAGE = 200;

/** All resources of a kind, by name. */
export async function readAll<K extends Kind>(store: ResourceStore, kind: K): Promise<ResourceOf<K>[]> {
  const found: ResourceOf<K>[] = [];
  let after: string | undefined;
  do {
    const page: { items: ResourceOf<K>[]; next: string | null } = await store.list(kind, {
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    found.push(...page.items);
    after = page.next ?? undefined;
    if (after !== undefined) await new Promise((resolve) => setImmediate(resolve)); // a large fleet must not hold up its messages
  } while (after !== undefined);
  return found;
}
