import { createReadStream, existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import {
  type AnyResource,
  AppError,
  findKind,
  KINDS,
  ROUTES,
  type Route,
  type ServerEvent,
  serverEventSchema,
  toAppError,
  toProblem,
} from '@selvedge/contract';
import { metricPointsOf, resultSummary, sample } from './fixture-curves.ts';
import { DATASET_DIFF, DATASET_VERIFICATION, datasetDetail, sendDatasetFile } from './fixture-datasets.ts';
import { caStatus, deviceTokens, quietCaStatus, recallView } from './fixture-joining.ts';
import { benchmark, TARGETS } from './fixture-packages.ts';
import { sendToolAnswer, taskComparison } from './fixture-tools.ts';
import { type FixtureWorld, RUNNING_RUN } from './fixture-world.ts';

export const LOGIN_CODE = '0042';
export const API_TOKEN = 'fixture-token';
const COOKIE = 'selvedge_session=fixture';

/** The same policy as the real server's: a page that breaks it must not pass the check. */
const CSP =
  "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

export interface FixtureServerOptions {
  world: FixtureWorld;
  /** The built page. */
  webFolder: string;
  /** Answers every list with an error, to show how the page takes it. */
  failing?: boolean;
}

/** Serves the built page and answers the API from a made-up world, with a stream that goes on. For looking and checking only. */
export class FixtureServer {
  readonly #options: FixtureServerOptions;
  readonly #streams = new Set<ServerResponse>();
  readonly #server: Server;
  #timer: NodeJS.Timeout | undefined;
  #epoch = 9;

  constructor(options: FixtureServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /** @returns the address to open. */
  async start(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.#timer = setInterval(() => this.#goOn(), 1500);
    const address = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    for (const stream of this.#streams) stream.end();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Tells every open page. */
  emit(event: ServerEvent): void {
    const text = JSON.stringify(serverEventSchema.parse(event));
    for (const stream of this.#streams) stream.write(`event: ${event.type}\ndata: ${text}\n\n`);
  }

  /** Ends the streams, as a restart of the server would. */
  dropStreams(): void {
    for (const stream of this.#streams) stream.end();
    this.#streams.clear();
  }

  #goOn(): void {
    const { world } = this.#options;
    const device = world.resources.find((item) => item.kind === 'Device' && item.status.online);
    if (device?.kind === 'Device') {
      device.metadata.resourceVersion += 1;
      device.status.telemetry = sample(Date.now(), 0);
      device.status.lastSeenAt = new Date().toISOString();
      this.emit({ type: 'resource', action: 'written', resource: device });
    }
    const points = world.metrics.get(RUNNING_RUN);
    if (points === undefined || this.#epoch >= 25) return;
    this.#epoch += 1;
    const fresh = metricPointsOf(this.#epoch, Date.now());
    points.push(...fresh);
    this.emit({ type: 'metric', run: RUNNING_RUN, points: fresh });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://fixture');
    const isDatasetFile = url.pathname.startsWith('/containers/import/') && url.pathname.includes('/data/');
    const isTool = /^\/(containers|pipelines)\//.test(url.pathname) && !isDatasetFile;
    if (isTool && sendToolAnswer(this.#options.world, url.pathname, response)) return;
    if (isDatasetFile) {
      sendDatasetFile(url.pathname, response);
      return;
    }
    if (!url.pathname.startsWith('/api/')) {
      this.#file(url.pathname, response);
      return;
    }
    this.#api(request, response, url).catch((error: unknown) => {
      const problem = toProblem(toAppError(error));
      response.writeHead(problem.status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
    });
  }

  #file(path: string, response: ServerResponse): void {
    const file = join(this.#options.webFolder, normalize(path === '/' ? '/index.html' : path));
    if (!file.startsWith(this.#options.webFolder) || !existsSync(file)) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': CSP });
    createReadStream(file).pipe(response);
  }

  async #api(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const match = findRoute(request.method ?? 'GET', url.pathname);
    if (match === undefined) throw new AppError('NOT_FOUND', { message: `There is no ${url.pathname}.` });
    const body = await readBody(request);
    if (match.name === 'createSession') return signIn(body, response);
    if (request.headers.cookie?.includes(COOKIE) !== true)
      throw new AppError('UNAUTHENTICATED', { message: 'Sign in first.', hint: 'Run "selvedge open".' });
    if (match.name === 'deleteSession') return void response.writeHead(204, { 'set-cookie': `${COOKIE}; Max-Age=0; Path=/` }).end();
    if (match.name === 'streamEvents') return this.#stream(response);
    if (match.name === 'getDeviceLogs') return sendDeviceLog(response);
    if (match.name === 'getRunLog' || match.name === 'getPackageLog') return this.#log(url, response);
    if (this.#options.failing === true && match.name !== 'getWhoami')
      throw new AppError('DISK_FULL', { message: 'The database could not be read.', hint: 'Free some space on the disk of the server.' });
    const answer = match.name === 'findRecall' ? recallView(sourceOf(url)) : this.#json(match.name, match.params, body);
    const { response: schema, status = 200 } = match.route;
    if (schema === undefined) return void response.writeHead(status).end();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(schema.parse(answer)));
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 300\n\n');
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
  }

  #log(url: URL, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    const step = url.searchParams.get('step') ?? 'run';
    for (let line = 1; line <= 60; line += 1)
      response.write(
        `2026-11-20T17:00:${String(line % 60).padStart(2, '0')}Z info ${step}: batch ${line} of 60, loss ${(2 / line).toFixed(4)}\n`,
      );
    response.write(`2026-11-20T17:01:02Z warn ${step}: 3 pictures are smaller than the input and were enlarged\n`);
    if (url.searchParams.get('follow') !== '1' || step !== 'train') return void response.end();
    const timer = setInterval(() => response.write(`${new Date().toISOString()} info train: still learning\n`), 700);
    response.on('close', () => clearInterval(timer));
  }

  #json(name: string, params: Record<string, string>, body: string): unknown {
    const { world } = this.#options;
    const named = params.name ?? '';
    const ofKind = (kind: AnyResource['kind']) => world.resources.filter((item) => item.kind === kind);
    switch (name) {
      case 'getWhoami':
        return { name: 'admin', via: 'session', version: '0.1.0', devicePort: 7443 };
      case 'listModules':
        return { items: world.modules };
      case 'listResources':
        return { items: ofKind(kindOf(params.plural)), next: null };
      case 'getResource':
        return this.#find(kindOf(params.plural), named);
      case 'deleteResource':
        return this.#delete(this.#find(kindOf(params.plural), named));
      case 'getModel':
        return {
          model: this.#find('Model', named),
          versions: world.resources.filter((item) => item.kind === 'ModelVersion' && item.spec.model === named).toReversed(),
        };
      case 'compareTask':
        return taskComparison(named);
      case 'setModelAlias':
      case 'deleteModelAlias':
        return this.#find('Model', named);
      case 'getDatasetVersion':
        return datasetDetail(this.#find('DatasetVersion', `${named}-v${params.version}`));
      case 'diffDatasets':
        return DATASET_DIFF;
      case 'verifyDataset':
        return DATASET_VERIFICATION;
      case 'getRunMetrics':
        return { points: world.metrics.get(named) ?? [] };
      case 'getDeviceTelemetry':
        return { samples: Array.from({ length: 120 }, (_, index) => sample(Date.now() - (120 - index) * 30_000, named.length)) };
      case 'getDeviceResults':
        return { results: Array.from({ length: 48 }, (_, index) => resultSummary(Date.now() - (48 - index) * 300_000, named.length)) };
      case 'listDeviceJoins':
        return { items: PENDING_JOINS };
      case 'listDeviceTokens':
        return { items: ofKind('Device').length === 0 ? [] : deviceTokens(world.clock) };
      case 'getCaStatus':
      case 'rotateCa':
        return ofKind('Device').length === 0 ? quietCaStatus() : caStatus();
      case 'recall':
        return recallAnswer(body);
      case 'createDeviceToken':
        return {
          token: 'sel_1a2b3c',
          url: 'https://10.0.4.2:7443',
          uses: 1,
          expiresAt: world.clock.ago(-60),
          joinCommand: 'selvedge agent join https://10.0.4.2:7443 --token sel_1a2b3c4d5e6f7g8h9i0j',
        };
      case 'startRun':
      case 'cancelRun':
        return this.#find('Run', RUNNING_RUN);
      case 'listTargets':
        return { items: TARGETS };
      case 'benchPackage':
        return { results: [benchmark(JSON.parse(body).device, new Date().toISOString())], failures: [] };
      case 'apply':
        return {
          results: [{ kind: 'InferenceModel', name: JSON.parse(body).documents[0].metadata.name, action: 'configured', generation: 2 }],
        };
      case 'infer':
        return { device: 'edge-1', roundTripMs: 11.4, infer: { model: 'digits', version: '3', latencyMs: 1.83, result: INFERENCE } };
      default:
        throw new AppError('NOT_FOUND', { message: `The fixture has no answer for ${name}.` });
    }
  }

  #find(kind: AnyResource['kind'], name: string): AnyResource {
    const found = this.#options.world.resources.find((item) => item.kind === kind && item.metadata.name === name);
    if (found === undefined)
      throw new AppError('NOT_FOUND', {
        message: `There is no ${kind} "${name}".`,
        hint: `"selvedge get ${KINDS[kind].plural}" lists them.`,
      });
    return found;
  }

  #delete(resource: AnyResource): void {
    const { resources } = this.#options.world;
    resources.splice(resources.indexOf(resource), 1);
    this.emit({ type: 'resource', action: 'deleted', resource });
  }
}

const sourceOf = (url: URL) => ROUTES.findRecall.query.parse(Object.fromEntries(url.searchParams));

function recallAnswer(body: string) {
  const { to, ...source } = ROUTES.recall.body.parse(JSON.parse(body));
  const view = recallView(source);
  return { view, deployments: view.deployments.map(({ name }) => ({ name, version: to, generation: name === 'digits' ? 2 : 3 })) };
}

const PENDING_JOINS = [
  {
    name: 'edge-new',
    state: 'waiting',
    keySha256: '4f'.repeat(32),
    address: '10.0.4.77',
    labels: { site: 'lab' },
    requestedAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2099-01-01T00:00:00.000Z',
  },
];

const TOP_K = [
  { label: '7', index: 7, score: 0.9712 },
  { label: '9', index: 9, score: 0.0201 },
  { label: '1', index: 1, score: 0.0054 },
];
const INFERENCE = { top: TOP_K[0], topk: TOP_K };

function kindOf(plural: string | undefined): AnyResource['kind'] {
  const kind = findKind(plural ?? '');
  if (kind === undefined) throw new AppError('NOT_FOUND', { message: `There is no kind "${plural}".` });
  return kind;
}

interface RouteMatch {
  name: string;
  route: Route;
  params: Record<string, string>;
}

function findRoute(method: string, path: string): RouteMatch | undefined {
  for (const [name, route] of Object.entries<Route>(ROUTES)) {
    const keys = [...route.path.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? '');
    const found = new RegExp(`^${route.path.replace(/\{\w+\}/g, '([^/]+)')}$`).exec(path);
    if (found === null || route.method !== method) continue;
    return { name, route, params: Object.fromEntries(keys.map((key, index) => [key, decodeURIComponent(found[index + 1] ?? '')])) };
  }
  return undefined;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

function signIn(body: string, response: ServerResponse): void {
  const credential = ROUTES.createSession.body.parse(JSON.parse(body));
  const known = 'code' in credential ? credential.code === LOGIN_CODE : credential.token === API_TOKEN;
  if (!known)
    throw new AppError('UNAUTHENTICATED', {
      message: 'The code or token is not known, or was used before.',
      hint: 'Run "selvedge open" for a new link.',
    });
  response.writeHead(204, { 'set-cookie': `${COOKIE}; Path=/; HttpOnly; SameSite=Strict` }).end();
}

/** Stays open, as that of a device does. */
function sendDeviceLog(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
  for (const [sequence, text] of ['started', 'connected to the server', 'serving'].entries())
    response.write(`${JSON.stringify({ type: 'line', sequence, at: '2026-11-20T17:00:00.000Z', text })}\n`);
}
