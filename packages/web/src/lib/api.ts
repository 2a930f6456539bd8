import { type AnyResource, type Client, createClient, type FetchInit, KINDS, type Kind } from '@selvedge/contract';
import { isKind } from './patch.ts';

/** The page's one connection to the REST API. The session cookie is the credential; the page itself keeps none. */
export function createPageClient(): Client {
  return createClient({ baseUrl: '', fetch: (url, init) => fetch(url, toRequestInit(init)) });
}

function toRequestInit(init: FetchInit): RequestInit {
  const request: RequestInit = { method: init.method, headers: init.headers, credentials: 'same-origin' };
  if (typeof init.body === 'string' || init.body instanceof Blob) request.body = init.body;
  if (init.signal instanceof AbortSignal) request.signal = init.signal;
  return request;
}

const PAGE_SIZE = 1000;
/** A fleet of 10,000 is what one server carries; beyond that the page shows the first ones. */
const MAX_PAGES = 10;

/** All resources of a kind, oldest first, in as many requests as needed. */
export async function listAll<K extends Kind>(
  client: Client,
  kind: K,
  signal: AbortSignal,
): Promise<readonly Extract<AnyResource, { kind: K }>[]> {
  const all: Extract<AnyResource, { kind: K }>[] = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const query = after === undefined ? { limit: PAGE_SIZE } : { limit: PAGE_SIZE, after };
    const { items, next } = await client.listResources({ params: { plural: KINDS[kind].plural }, query, signal });
    for (const item of items) if (isKind(item, kind)) all.push(item);
    if (next === null) break;
    after = next;
  }
  return all;
}
