import type { Kind } from '@selvedge/contract';
import type { ResourceDraft, ResourceOf } from '../ports/store.ts';

/** What may be changed of a stored resource, as it is now, with `change` laid over it. */
export function draftOf<K extends Kind>(resource: ResourceOf<K>, change: Partial<ResourceDraft<K>> = {}): ResourceDraft<K> {
  const { name, labels, annotations } = resource.metadata;
  return { name, labels, annotations, spec: resource.spec, status: resource.status, ...change };
}

export function withoutKey(record: Record<string, string>, key: string): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}
