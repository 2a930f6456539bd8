import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TEST_TOKEN } from './tool-harness.ts';

/** What a tool sees of the server: its health with the modules, and the other tools below `/containers/{name}`. */
export interface TestGateway {
  readonly origin: string;
  close(): Promise<void>;
}

/** @param addressOf - address of each tool by name; it may change while the gateway runs. */
export async function startGateway(addressOf: () => Record<string, string>): Promise<TestGateway> {
  const modules = () =>
    Object.keys(addressOf()).map((name) => ({
      ...{ name, state: 'healthy', pid: 1, restarts: 0, since: new Date().toISOString(), lastExit: null },
      ...{ busyWith: null, queued: 0, version: null },
    }));
  const health = () => ({ status: 'ok', version: '0', uptimeS: 1, modules: modules(), devicePort: 1, devices: { total: 0, online: 0 } });
  const answer = async (url: string, authorization: string): Promise<Response> => {
    if (url === '/health') return Response.json(health());
    const [, name = '', path = ''] = /^\/containers\/([^/]+)(\/.*)$/.exec(url) ?? [];
    const address = addressOf()[name];
    return address === undefined ? new Response(null, { status: 503 }) : fetch(`${address}${path}`, { headers: { authorization } });
  };
  const server = createServer((request, response) => {
    answer(request.url ?? '/', request.headers.authorization ?? '')
      .then(async (found) => {
        const body = Buffer.from(await found.arrayBuffer());
        response.writeHead(found.status, { 'content-type': found.headers.get('content-type') ?? 'text/plain' }).end(body);
      })
      .catch(() => response.writeHead(503).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** How a tool of the tests is started so that it reads others through the gateway. */
export const behind = (gateway: TestGateway) => ({ trustedOrigins: [gateway.origin], token: TEST_TOKEN });
