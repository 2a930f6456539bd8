import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { AppError, ROUTES, type Route, type RouteName, toAppError, toProblem } from '@selvedge/contract';

interface Call {
  params: Record<string, string>;
  query: Record<string, string>;
  /** Parsed JSON for a JSON route, the raw bytes for an upload. */
  body: unknown;
  response: ServerResponse;
}
/** Returns the JSON answer; undefined when it has answered on `response` itself, or for 204. */
type Handler = (call: Call) => unknown;
export type Handlers = Partial<Record<RouteName, Handler>>;

interface Matched {
  name: RouteName;
  route: Route;
  params: Record<string, string>;
}

function match(method: string | undefined, path: string): Matched | undefined {
  for (const [name, route] of Object.entries(ROUTES) as [RouteName, Route][]) {
    if (route.method !== method) continue;
    const found = new RegExp(`^${route.path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`).exec(path);
    if (found === null) continue;
    const params = Object.fromEntries(Object.entries(found.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]));
    return { name, route, params };
  }
  return undefined;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

/**
 * A server for tests that keeps to the wire contract: requests are routed, authorised and checked by the contract's route
 * table, and so are the answers; what it knows is up to the handlers.
 */
export class ContractServer {
  readonly token = 'test-token-0123456789';
  /** Names of the routes that were called, in order. */
  readonly calls: RouteName[] = [];
  readonly #handlers: Handlers;
  readonly #server: Server;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async start(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (response.headersSent) response.destroy();
      else {
        response.writeHead(error.httpStatus, { 'content-type': 'application/problem+json' });
        response.end(JSON.stringify(toProblem(error)));
      }
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    const matched = match(request.method, url.pathname);
    if (matched === undefined) throw new AppError('NOT_FOUND', { message: `There is no ${url.pathname}.` });
    const { name, route, params } = matched;
    this.calls.push(name);
    if (route.scope !== 'public' && request.headers.authorization !== `Bearer ${this.token}`)
      throw new AppError('UNAUTHENTICATED', { message: 'The API token is missing or wrong.' });
    const handler = this.#handlers[name];
    if (handler === undefined) throw new AppError('NOT_FOUND', { message: `The test server does not answer ${name}.` });
    const bytes = await readBody(request);
    const query = Object.fromEntries(url.searchParams);
    route.query?.parse(query);
    const body: unknown = route.body === undefined ? bytes : route.body.parse(JSON.parse(bytes.toString('utf8')));
    const answer = await handler({ params, query, body, response });
    if (route.download !== undefined || response.writableEnded) return;
    response.writeHead(route.status ?? 200, { 'content-type': 'application/json' });
    response.end(route.response === undefined ? undefined : JSON.stringify(route.response.parse(answer)));
  }
}
