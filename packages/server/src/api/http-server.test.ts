import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { ROUTES } from '@selvedge/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../testing/test-server.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** A request whose Host and Origin may be chosen, which fetch does not allow. */
function rawRequest(
  url: string,
  options: { method?: string; headers?: Record<string, string> },
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, options, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

describe('the user port', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
    await server.toolsHealthy();
  });
  afterAll(() => server.stop());

  async function signIn(): Promise<string> {
    const code = new URL(server.loginUrl.replace('/#/', '/')).searchParams.get('code') ?? '';
    const { code: fresh } = await server.client.createLoginCode();
    expect(code).not.toBe(fresh);
    const response = await fetch(`${server.url}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code: fresh }),
    });
    expect(response.status).toBe(204);
    const cookie = response.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/SameSite=Strict/);
    return cookie.split(';')[0] ?? '';
  }

  describe('access', () => {
    const placeholders: Record<string, string> = { plural: 'runs', name: 'x', sha256: 'a'.repeat(64), version: '1' };
    const pathOf = (path: string) => path.replace(/\{(\w+)\}/g, (_, key: string) => placeholders[key] ?? 'x');

    it.each(Object.entries(ROUTES).filter(([, route]) => route.scope !== 'public'))('%s needs a credential', async (_, route) => {
      const response = await fetch(server.url + pathOf(route.path), { method: route.method });
      expect(response.status).toBe(401);
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
      expect(await response.json()).toMatchObject({ code: 'UNAUTHENTICATED', requestId: expect.any(String) });
      const wrong = await fetch(server.url + pathOf(route.path), { method: route.method, headers: { authorization: 'Bearer wrong' } });
      expect(wrong.status).toBe(401);
    });

    it('is open for health and metrics', async () => {
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      expect(metrics).toMatch(/selvedge_module_up\{module="train"\} 1/);
      expect(metrics).toMatch(/selvedge_http_request_duration_seconds_count\{method="GET",route="\/health",status="200"\} \d/);
      expect(metrics).toMatch(/# EOF\n$/);
    });

    it('takes the login code once, and the session until it is closed', async () => {
      const cookie = await signIn();
      const whoami = () => fetch(`${server.url}/api/v1/whoami`, { headers: { cookie } });
      expect(await (await whoami()).json()).toMatchObject({ name: 'admin', via: 'session' });
      const out = await fetch(`${server.url}/api/v1/session`, { method: 'DELETE', headers: { cookie, origin: server.url } });
      expect(out.status).toBe(204);
      expect((await whoami()).status).toBe(401);
      const { code } = await server.client.createLoginCode();
      const open = () =>
        fetch(`${server.url}/api/v1/session`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ code }),
        });
      expect((await open()).status).toBe(204);
      expect((await open()).status).toBe(401);
    });

    it('refuses changes with a cookie from a page of another site', async () => {
      const cookie = await signIn();
      const url = `${server.url}/api/v1/login-codes`;
      const post = (headers: Record<string, string>) => rawRequest(url, { method: 'POST', headers: { cookie, ...headers } });
      expect((await post({ origin: 'http://evil.example' })).status).toBe(403);
      expect((await post({ origin: 'null' })).status).toBe(403);
      expect((await post({})).status).toBe(403);
      expect((await post({ origin: server.url })).status).toBe(201);
      expect((await rawRequest(`${server.url}/api/v1/whoami`, { headers: { cookie } })).status).toBe(200);
    });

    it('refuses hosts that are not this machine', async () => {
      const get = (host: string) => rawRequest(`${server.url}/health`, { headers: { host } });
      expect((await get('evil.example:7070')).status).toBe(403);
      expect((await get('127.0.0.1.evil.example')).status).toBe(403);
      expect((await get('localhost:1')).status).toBe(200);
    });
  });

  it('limits attempts to sign in', async () => {
    const limited = await TestServer.start();
    try {
      const attempt = () =>
        fetch(`${limited.url}/api/v1/session`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ token: 'guess' }),
        });
      const statuses = [];
      for (let index = 0; index < 25; index += 1) statuses.push((await attempt()).status);
      expect(statuses[0]).toBe(401);
      expect(statuses.at(-1)).toBe(429);
    } finally {
      await limited.stop();
    }
  });

  it('reports every fault of an input at once', async () => {
    const response = await server.fetch('/api/v1/apply', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        documents: [{ apiVersion: 'selvedge.dev/v1alpha1', kind: 'Model', metadata: { name: 'UPPER' }, spec: { nonsense: 1 } }],
      }),
    });
    expect(response.status).toBe(400);
    const { code, issues } = (await response.json()) as { code: string; issues: { path: string }[] };
    expect(code).toBe('INPUT_INVALID');
    expect(issues.map((issue) => issue.path).sort()).toEqual(['documents[0].metadata.name', 'documents[0].spec.nonsense']);
    const broken = await server.fetch('/api/v1/apply', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' });
    expect(await broken.json()).toMatchObject({ code: 'DOCUMENT_SYNTAX' });
    const missing = await server.fetch('/api/v1/nothing');
    expect(missing.status).toBe(404);
    expect(await missing.json()).toMatchObject({ code: 'NOT_FOUND' });
    expect((await server.fetch('/%ff')).status).toBe(400);
  });

  describe('blobs', () => {
    it('come whole, in ranges, and not at all when unchanged', async () => {
      const { spec } = await server.client.uploadDataset({ params: { name: 'ranges' }, upload: '0123456789' });
      expect(spec.archive?.sha256).toBe(sha256('0123456789'));
      const get = (headers: Record<string, string>) => server.fetch(`/api/v1/blobs/${spec.archive?.sha256}`, { headers });
      const whole = await get({});
      expect([whole.status, await whole.text(), whole.headers.get('content-length')]).toEqual([200, '0123456789', '10']);
      const part = await get({ range: 'bytes=2-4' });
      expect([part.status, await part.text(), part.headers.get('content-range')]).toEqual([206, '234', 'bytes 2-4/10']);
      expect(await (await get({ range: 'bytes=-3' })).text()).toBe('789');
      expect((await get({ range: 'bytes=10-' })).status).toBe(416);
      expect((await get({ 'if-none-match': `"${spec.archive?.sha256}"` })).status).toBe(304);
      expect((await server.fetch(`/api/v1/blobs/${'b'.repeat(64)}`)).status).toBe(404);
    });
  });

  describe('the event stream', () => {
    async function* events(response: Response): AsyncGenerator<{ event: string; data: string }> {
      let text = '';
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk).toString();
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const fields = Object.fromEntries(
            text
              .slice(0, end)
              .split('\n')
              .map((line) => line.split(/: (.*)/s)),
          );
          text = text.slice(end + 2);
          if (fields.data !== undefined) yield { event: fields.event, data: fields.data };
        }
      }
    }

    it('tells every change of the kinds that were asked for', async () => {
      const stop = new AbortController();
      const response = await server.fetch('/api/v1/events?kinds=Model,Task', { signal: stop.signal });
      expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
      const stream = events(response);
      const first = stream.next();
      const apply = (kind: string, name: string) =>
        server.fetch('/api/v1/apply', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ documents: [{ apiVersion: 'selvedge.dev/v1alpha1', kind, metadata: { name }, spec: {} }] }),
        });
      await apply('Dataset', 'not-asked-for');
      await apply('Model', 'streamed');
      const { value } = await first;
      expect(value?.event).toBe('resource');
      expect(JSON.parse(value?.data ?? '')).toMatchObject({
        type: 'resource',
        action: 'written',
        resource: { kind: 'Model', metadata: { name: 'streamed' } },
      });
      await server.client.deleteResource({ params: { plural: 'models', name: 'streamed' } });
      expect(JSON.parse((await stream.next()).value?.data ?? '')).toMatchObject({ action: 'deleted' });
      stop.abort();
    });
  });

  describe('the gateway', () => {
    it("keeps the user's credentials and adds the tools'", async () => {
      const cookie = await signIn();
      const response = await rawRequest(`${server.url}/containers/split/echo?a=1&b=%2F`, { headers: { cookie } });
      const { headers, url, method } = JSON.parse(response.body);
      expect([url, method]).toEqual(['/echo?a=1&b=%2F', 'GET']);
      expect(headers.cookie).toBeUndefined();
      expect(headers.authorization).toMatch(/^Bearer /);
      expect(headers.authorization).not.toContain(server.token);
    });

    it('streams bodies and rewrites where a tool points to', async () => {
      const body = Buffer.alloc(20 * 1024 * 1024, 1);
      const echo = await server.fetch('/containers/split/echo', { method: 'POST', body, headers: { 'content-type': 'application/x-tar' } });
      expect(await echo.json()).toMatchObject({ bytes: body.length, headers: { 'content-type': 'application/x-tar' } });
      const created = await server.fetch('/containers/split/artifacts', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'by-hand', parameters: {} }),
      });
      expect(created.status).toBe(202);
      expect(created.headers.get('location')).toBe('/containers/split/artifacts/by-hand/');
    });

    it('lets nothing that a tool serves run as a page of ours', async () => {
      await server.addDataset('pages');
      const page = await server.fetch('/containers/import/artifacts/pages.v1/data/page.html');
      expect(page.status).toBe(200);
      expect(page.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
    });

    it("opens what tools read with the tools' token, and nothing else", async () => {
      const echo = await server.fetch('/containers/split/echo');
      const { headers } = (await echo.json()) as { headers: { authorization: string } };
      const asTool = (path: string, method = 'GET') =>
        fetch(server.url + path, { method, headers: { authorization: headers.authorization } });
      expect((await asTool('/containers/split/artifacts')).status).toBe(200);
      expect((await asTool(`/api/v1/blobs/${'b'.repeat(64)}`)).status).toBe(404);
      expect((await asTool('/containers/split/artifacts', 'POST')).status).toBe(403);
      expect((await asTool('/api/v1/whoami')).status).toBe(403);
      expect((await asTool('/api/v1/resources/runs')).status).toBe(403);
    });

    it('says when there is no such tool', async () => {
      const response = await server.fetch('/containers/nonsense/');
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([404, 'NOT_FOUND']);
    });
  });

  it('shows pipelines as containers of the uniform API', async () => {
    await server.addDataset('things');
    await server.applyPipeline('pipe');
    const get = async (path: string) => (await server.fetch(path)).json();
    expect(await get('/pipelines/')).toEqual({ items: [{ name: 'pipe', url: '/pipelines/pipe/', task: null }] });
    const started = await server.fetch('/pipelines/pipe/runs', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect([started.status, started.headers.get('location')]).toEqual([202, '/pipelines/pipe/runs/pipe-1/']);
    await server.waitForRun('pipe-1', (run) => run.status.phase === 'Succeeded', 'succeeded');
    expect(await get('/pipelines/pipe/runs')).toMatchObject({ items: [{ name: 'pipe-1', type: 'run', state: { status: 'completed' } }] });
    expect(await get('/pipelines/pipe/runs/pipe-1/status')).toMatchObject({ status: 'completed', progress: 1 });
    expect(await get('/pipelines/pipe/containers')).toMatchObject({
      data: [{ name: 'import' }, { name: 'process' }, { name: 'export' }, { name: 'split' }],
      models: [{ name: 'train' }, { name: 'benchmark' }, { name: 'build' }, { name: 'visualize' }],
    });
    const artifacts = (await get('/pipelines/pipe/artifacts')) as { items: { name: string; url: string }[] };
    expect(artifacts.items.map((item) => item.name)).toEqual([
      'things.v1',
      'pipe-1.process',
      'pipe-1.export',
      'pipe-1.split',
      'pipe-1.train',
      'pipe-1.benchmark',
    ]);
    expect(artifacts.items[4]?.url).toBe('/containers/train/artifacts/pipe-1.train/');
    expect(await get('/pipelines/pipe/task')).toMatchObject({ code: 'NOT_FOUND' });
    const change = async (method: string, path: string) => (await server.fetch(`/pipelines/pipe/runs/pipe-1/${path}`, { method })).status;
    expect(await change('POST', 'cancel')).toBe(409);
    expect(await change('DELETE', '')).toBe(204);
    expect(await change('DELETE', '')).toBe(404);
  });
});
