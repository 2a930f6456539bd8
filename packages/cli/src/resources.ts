import { type AnyResource, AppError, type Client, findKind, KIND_NAMES, KINDS, type Kind } from '@selvedge/contract';
import type { Session } from './session.ts';

export type ResourceOf<K extends Kind> = Extract<AnyResource, { kind: K }>;

const PAGE_SIZE = 500;

function isOfKind<K extends Kind>(resource: AnyResource, kind: K): resource is ResourceOf<K> {
  return resource.kind === kind;
}

function expectKind<K extends Kind>(resource: AnyResource, kind: K): ResourceOf<K> {
  if (isOfKind(resource, kind)) return resource;
  throw new AppError('INTERNAL', { message: `The server sent a ${resource.kind} where a ${kind} was asked for.` });
}

/** All resources of a kind, page by page. */
export async function listAll<K extends Kind>(session: Session, kind: K, selector?: string): Promise<ResourceOf<K>[]> {
  const { client, io } = session;
  const found: ResourceOf<K>[] = [];
  let after: string | undefined;
  do {
    const page: Awaited<ReturnType<Client['listResources']>> = await client.listResources({
      params: { plural: KINDS[kind].plural },
      query: { limit: PAGE_SIZE, ...(after === undefined ? {} : { after }), ...(selector === undefined ? {} : { selector }) },
      signal: io.signal,
    });
    for (const item of page.items) found.push(expectKind(item, kind));
    after = page.next ?? undefined;
  } while (after !== undefined);
  return found;
}

/** @throws AppError NOT_FOUND when there is none. */
export async function getOne<K extends Kind>(session: Session, kind: K, name: string): Promise<ResourceOf<K>> {
  const resource = await session.client.getResource({ params: { plural: KINDS[kind].plural, name }, signal: session.io.signal });
  return expectKind(resource, kind);
}

/** @throws AppError USAGE that lists the kinds. */
export function parseKind(text: string): Kind {
  const kind = findKind(text);
  if (kind !== undefined) return kind;
  throw new AppError('USAGE', { message: `There is no kind "${text}".`, hint: `Kinds: ${KIND_NAMES.join(', ')}.` });
}

/** By time of creation. */
export function newestFirst<T extends AnyResource>(resources: readonly T[]): T[] {
  return [...resources].sort((a, b) =>
    a.metadata.createdAt < b.metadata.createdAt ? 1 : a.metadata.createdAt > b.metadata.createdAt ? -1 : 0,
  );
}
