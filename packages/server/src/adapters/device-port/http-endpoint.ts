import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TLSSocket } from 'node:tls';
import {
  AppError,
  type DeltaOffer,
  type DeviceTrust,
  issuesOf,
  type JoinRequest,
  type JoinResponse,
  joinRequestSchema,
  MAX_DELTA_BASES,
  nameSchema,
  renewRequestSchema,
  sha256Schema,
  toAppError,
  toProblem,
} from '@selvedge/contract';
import { describeError, type Logger, parseByteRange, readBounded } from '@selvedge/runtime';
import * as z from 'zod';
import type { PresentedCertificate } from '../../domain/device-identity.ts';

export interface HttpHandlers {
  /** @param address - host the request came from. */
  join(request: JoinRequest, address: string): Promise<JoinResponse>;
  renew(certificate: PresentedCertificate, csrPem: string): Promise<JoinResponse>;
  trustOf(certificate: PresentedCertificate): Promise<DeviceTrust>;
  /** Size of a blob that this device may fetch; undefined for any other. */
  statBlob(certificate: PresentedCertificate, sha256: string): Promise<{ sizeBytes: number } | undefined>;
  openBlob(certificate: PresentedCertificate, sha256: string, range?: { start: number; end: number }): Promise<Readable | undefined>;
  /** How the device can make a blob of one that it has; undefined: it is to fetch the whole. */
  offerDelta(certificate: PresentedCertificate, sha256: string, from: readonly string[]): Promise<DeltaOffer | undefined>;
  /** Packages are named by the digests of their manifests. */
  offerPackageDelta(certificate: PresentedCertificate, manifestSha256: string, from: readonly string[]): Promise<DeltaOffer | undefined>;
  /** How much of what the device is to send for an operation has come in. @throws AppError NOT_FOUND when it is to send nothing. */
  sentBytes(certificate: PresentedCertificate, operation: string): Promise<number>;
  /** Takes what a device sends. @returns how much has come in. */
  receive(certificate: PresentedCertificate, operation: string, content: Readable, part: { offset: number; size: number }): Promise<number>;
}

const MAX_BODY_BYTES = 32 * 1024;
const BODY_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;
const BLOB_PATH = /^\/device\/v1\/blobs\/([^/]+)$/;
const DELTA_PATH = /^\/device\/v1\/(deltas|package-deltas)\/([^/]+)$/;
const UPLOAD_PATH = /^\/device\/v1\/uploads\/([^/]+)$/;
const deltaQuerySchema = z.object({
  from: z
    .string()
    .transform((list) => list.split(','))
    .pipe(z.array(sha256Schema).min(1).max(MAX_DELTA_BASES)),
});
const uploadQuerySchema = z.object({ offset: z.coerce.number().int().min(0), size: z.coerce.number().int().min(0) });

/** The HTTP routes of the device port. */
export class HttpEndpoint {
  readonly #handlers: HttpHandlers;
  readonly #log: Logger;
  readonly #certificates = new WeakMap<object, PresentedCertificate>();
  #server: Server | undefined;

  constructor(handlers: HttpHandlers, log: Logger) {
    this.#handlers = handlers;
    this.#log = log;
  }

  start(): void {
    // A file that a device sends takes as long as it takes; other bodies have a time limit of their own.
    const server = createServer({ requestTimeout: 0, headersTimeout: BODY_TIMEOUT_MS, keepAliveTimeout: IDLE_TIMEOUT_MS });
    server.timeout = IDLE_TIMEOUT_MS;
    server.on('request', (request, response) => void this.#answer(request, response));
    server.emit('listening'); // it never listens itself, and only now begins to watch over the time that headers take
    this.#server = server;
  }

  stop(): void {
    this.#server?.closeAllConnections();
    this.#server?.close(() => undefined);
    this.#server = undefined;
  }

  accept(socket: TLSSocket, certificate: PresentedCertificate | undefined): void {
    if (certificate !== undefined) this.#certificates.set(socket, certificate);
    if (this.#server === undefined) socket.destroy();
    else this.#server.emit('connection', socket);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.kind === 'bug') this.#log.error('a device request failed', { url: request.url?.slice(0, 256), ...describeError(thrown) });
      if (response.headersSent) response.destroy();
      else send(response, error.httpStatus, 'application/problem+json', toProblem(error));
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    if (path === '/device/v1/join' && request.method === 'POST') {
      const body = await readBody(request, joinRequestSchema);
      send(response, 201, 'application/json', await this.#handlers.join(body, request.socket.remoteAddress ?? ''));
      return;
    }
    if (path === '/device/v1/renew' && request.method === 'POST') {
      const certificate = this.#requireCertificate(request);
      const { csrPem } = await readBody(request, renewRequestSchema);
      send(response, 201, 'application/json', await this.#handlers.renew(certificate, csrPem));
      return;
    }
    if (path === '/device/v1/trust' && request.method === 'GET') {
      send(response, 200, 'application/json', await this.#handlers.trustOf(this.#requireCertificate(request)));
      return;
    }
    const sha256 = sha256Schema.safeParse(BLOB_PATH.exec(path)?.[1]);
    if (sha256.success && (request.method === 'GET' || request.method === 'HEAD')) {
      await this.#sendBlob(request, response, sha256.data);
      return;
    }
    const [, kind, named] = DELTA_PATH.exec(path) ?? [];
    const target = sha256Schema.safeParse(named);
    if (target.success && request.method === 'GET') {
      await this.#offerDelta(request, response, target.data, kind === 'package-deltas');
      return;
    }
    const operation = nameSchema.safeParse(UPLOAD_PATH.exec(path)?.[1]);
    if (operation.success && (request.method === 'PUT' || request.method === 'HEAD')) {
      await this.#takeUpload(request, response, operation.data);
      return;
    }
    throw new AppError('NOT_FOUND', { message: 'There is nothing at this address of the device port.' });
  }

  /** HEAD tells in "upload-offset" how much has come in; PUT with ?offset=&size= brings the rest. */
  async #takeUpload(request: IncomingMessage, response: ServerResponse, operation: string): Promise<void> {
    const certificate = this.#requireCertificate(request);
    if (request.method === 'HEAD') {
      response.writeHead(200, { 'upload-offset': await this.#handlers.sentBytes(certificate, operation) }).end();
      return;
    }
    const part = readQuery(request, uploadQuerySchema, 'The address needs "offset" and "size".');
    const receivedBytes = await this.#handlers.receive(certificate, operation, request, part);
    send(response, 200, 'application/json', { receivedBytes });
  }

  async #offerDelta(request: IncomingMessage, response: ServerResponse, sha256: string, isPackage: boolean): Promise<void> {
    const certificate = this.#requireCertificate(request);
    const { from } = readQuery(request, deltaQuerySchema, `The address needs "from": up to ${MAX_DELTA_BASES} digests with commas.`);
    const offer = isPackage
      ? await this.#handlers.offerPackageDelta(certificate, sha256, from)
      : await this.#handlers.offerDelta(certificate, sha256, from);
    if (offer === undefined) throw new AppError('NOT_FOUND', { message: `There is no patch to ${sha256}: fetch the whole.` });
    send(response, 200, 'application/json', offer);
  }

  async #sendBlob(request: IncomingMessage, response: ServerResponse, sha256: string): Promise<void> {
    const certificate = this.#requireCertificate(request);
    const info = await this.#handlers.statBlob(certificate, sha256);
    if (info === undefined) throw new AppError('NOT_FOUND', { message: `This device has no use for a blob ${sha256}.` });
    const { sizeBytes } = info;
    const etag = `"${sha256}"`;
    response.setHeader('etag', etag);
    response.setHeader('accept-ranges', 'bytes');
    response.setHeader('cache-control', 'private, max-age=31536000, immutable');
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return;
    }
    const ifRange = request.headers['if-range'];
    const range = ifRange === undefined || ifRange === etag ? parseByteRange(request.headers.range, sizeBytes) : 'whole';
    if (range === 'unsatisfiable') {
      response.writeHead(416, { 'content-range': `bytes */${sizeBytes}` }).end();
      return;
    }
    const whole = range === 'whole';
    response.setHeader('content-type', 'application/octet-stream');
    response.setHeader('content-length', whole ? sizeBytes : range.end - range.start + 1);
    if (!whole) response.setHeader('content-range', `bytes ${range.start}-${range.end}/${sizeBytes}`);
    response.statusCode = whole ? 200 : 206;
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const content = await this.#handlers.openBlob(certificate, sha256, whole ? undefined : range);
    if (content === undefined) throw new AppError('NOT_FOUND', { message: `The blob ${sha256} is gone.` });
    try {
      await pipeline(content, response);
    } catch (error) {
      this.#log.debug('a download was cut', { sha256, ...describeError(error) }); // the device resumes it
      response.destroy();
    }
  }

  #requireCertificate(request: IncomingMessage): PresentedCertificate {
    const certificate = this.#certificates.get(request.socket);
    if (certificate === undefined) throw new AppError('UNAUTHENTICATED', { message: 'This needs the client certificate of a device.' });
    return certificate;
  }
}

function readQuery<S extends z.ZodType>(request: IncomingMessage, schema: S, message: string): z.output<S> {
  const { searchParams } = new URL(request.url ?? '', 'https://device.invalid');
  const parsed = schema.safeParse(Object.fromEntries(searchParams));
  if (!parsed.success) throw new AppError('INPUT_INVALID', { message, issues: issuesOf(parsed.error) });
  return parsed.data;
}

async function readBody<S extends z.ZodType>(request: IncomingMessage, schema: S): Promise<z.output<S>> {
  const timer = setTimeout(() => request.destroy(), BODY_TIMEOUT_MS);
  const body = await readBounded(request, MAX_BODY_BYTES, `The body is larger than ${MAX_BODY_BYTES} bytes.`).finally(() =>
    clearTimeout(timer),
  );
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new AppError('DOCUMENT_SYNTAX', { message: 'The body is not JSON.' }, { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new AppError('INPUT_INVALID', { message: 'The body does not match its schema.', issues: issuesOf(parsed.error) });
  return parsed.data;
}

function send(response: ServerResponse, status: number, contentType: string, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  // what is left of a body that was refused is not read, so the connection cannot be used again
  const close = status >= 400 ? { connection: 'close' } : {};
  response.writeHead(status, { 'content-type': contentType, 'content-length': body.byteLength, ...close }).end(body);
}
