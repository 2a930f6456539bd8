import { describe, expect, it } from 'vitest';
import { createClient, type FetchInit, type FetchResponse, routeUrl } from './client.ts';
import { ROUTES } from './routes.ts';

function answering(status: number, body: string, seen: { url: string; init: FetchInit }[] = []) {
  return async (url: string, init: FetchInit): Promise<FetchResponse> => {
    seen.push({ url, init });
    return {
      ok: status < 400,
      status,
      headers: { get: () => null },
      json: async () => JSON.parse(body),
      text: async () => body,
      body: null,
    };
  };
}

describe('route table', () => {
  it('names every path parameter in its schema, and no two routes share method and path', () => {
    const seen = new Set<string>();
    for (const [name, route] of Object.entries(ROUTES)) {
      const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const inSchema = 'params' in route ? Object.keys(route.params.shape) : [];
      expect(inSchema.sort(), name).toEqual(inPath.sort());
      const key = `${route.method} ${route.path}`;
      expect(seen.has(key), key).toBe(false);
      seen.add(key);
    }
  });
});

describe('client', () => {
  it('encodes path and query, sends the token and JSON', async () => {
    const seen: { url: string; init: FetchInit }[] = [];
    const client = createClient({ baseUrl: 'http://h:1', token: 't', fetch: answering(200, '{"items":[],"next":null}', seen) });
    await client.listResources({ params: { plural: 'a b' }, query: { selector: 'x=1,y', limit: 5 } });
    expect(seen[0]?.url).toBe('http://h:1/api/v1/resources/a%20b?selector=x%3D1%2Cy&limit=5');
    expect(seen[0]?.init.headers).toMatchObject({ authorization: 'Bearer t' });
    expect(routeUrl(ROUTES.getResource, { params: { plural: 'p', name: '../x' } })).toBe('/api/v1/resources/p/..%2Fx');
  });

  it('throws the error that the server names', async () => {
    const body = JSON.stringify({
      type: 'x',
      title: 'x',
      status: 404,
      detail: 'No Run "a-1".',
      code: 'NOT_FOUND',
      kind: 'user',
      retryable: false,
    });
    const client = createClient({ baseUrl: '', fetch: answering(404, body) });
    await expect(client.cancelRun({ params: { name: 'a-1' } })).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'No Run "a-1".' });
  });

  it('says that the server did not answer when somebody else did, or nobody', async () => {
    const proxy = createClient({ baseUrl: '', fetch: answering(502, '<html>bad gateway</html>') });
    await expect(proxy.getHealth()).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
    const nobody = createClient({
      baseUrl: 'http://h:1',
      fetch: async () => {
        throw new TypeError('fetch failed');
      },
    });
    await expect(nobody.getHealth()).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE', message: expect.stringContaining('http://h:1') });
  });

  it('refuses a response that does not match the contract', async () => {
    const client = createClient({ baseUrl: '', fetch: answering(200, '{"items":[{"kind":"Nonsense"}],"next":null}') });
    await expect(client.listResources({ params: { plural: 'devices' } })).rejects.toThrow();
  });
});
