import 'reflect-metadata'; // before the library, which needs it while it loads
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { AppError, type ErrorCode, type JoinResponse, joinRequestSchema, renewRequestSchema, toProblem } from '@selvedge/contract';
import { readBounded } from '@selvedge/runtime';
import { type Period, type ScratchAuthority, USUAL } from './scratch-authority.ts';
import type { SeenLog } from './seen.ts';

/** What the server does to a download. */
export type BlobFault = { readonly cutAfterBytes: number } | 'corrupt';

const MAX_BODY_BYTES = 1024 * 1024;
const BLOBS = '/device/v1/blobs/';

/** What happens on the HTTP side; the checks turn it. */
export class HttpBehaviour {
  /** Answers of the next joins; then devices are taken. */
  refuseJoins: ErrorCode[] = [];
  /** The device was removed: nothing is answered any more. */
  revoked = false;
  /** Of the certificates that are issued. */
  certificatePeriod: Period = USUAL;
  /** What becomes of the answer of a join or a renewal on its way. */
  shapeAnswer: (answer: JoinResponse) => unknown = (answer) => answer;
  /** How far the server's clock is ahead of this machine's. */
  clockAheadMs = 0;
  readonly blobs = new Map<string, Buffer>();
  blobFault: ((sha256: string, offset: number) => BlobFault | undefined) | undefined;
}

export interface ScratchHttpOptions {
  readonly authority: ScratchAuthority;
  readonly seen: SeenLog;
  readonly secret: string;
  readonly defaultName: string;
}

/** Joining, renewal, trust and content, as the device port answers them. */
export class ScratchHttp {
  readonly behaviour = new HttpBehaviour();
  readonly #options: ScratchHttpOptions;
  readonly #server: Server;
  readonly #connections = new WeakMap<object, number>();

  constructor(options: ScratchHttpOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  accept(socket: TLSSocket, connection: number): void {
    this.#connections.set(socket, connection);
    this.#server.emit('connection', socket);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('date', new Date(Date.now() + this.behaviour.clockAheadMs).toUTCString());
    try {
      const body = (await readBounded(request, MAX_BODY_BYTES, 'The body is too large.')).toString('utf8');
      const { method = '', url: path = '', headers } = request;
      const connection = this.#connections.get(request.socket) ?? 0;
      this.#options.seen.add({ kind: 'http', connection, request: { method, path, headers: { ...headers }, body } });
      await this.#answer(request, response, body);
    } catch (thrown) {
      const error = thrown instanceof AppError ? thrown : new AppError('INPUT_INVALID', { message: String(thrown) });
      if (response.headersSent) response.destroy();
      else sendJson(response, error.httpStatus, toProblem(error), 'application/problem+json');
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const { method, url = '' } = request;
    if (method === 'POST' && url === '/device/v1/join') return sendJson(response, 201, await this.#join(body));
    const device = deviceOf(request);
    if (device === undefined) throw new AppError('UNAUTHENTICATED', { message: 'This needs the client certificate of a device.' });
    if (this.behaviour.revoked) throw new AppError('DEVICE_REVOKED', { message: `Device "${device}" has been removed.` });
    if (method === 'POST' && url === '/device/v1/renew') {
      const { csrPem } = renewRequestSchema.parse(JSON.parse(body));
      return sendJson(response, 201, await this.#issue(csrPem, device, USUAL));
    }
    if (method === 'GET' && url === '/device/v1/trust') return sendJson(response, 200, this.#trust());
    if (url.startsWith(BLOBS) && (method === 'GET' || method === 'HEAD')) return this.#sendBlob(url.slice(BLOBS.length), request, response);
    throw new AppError('NOT_FOUND', { message: 'There is nothing at this address of the device port.' });
  }

  async #join(body: string): Promise<unknown> {
    const { secret, csrPem, name } = joinRequestSchema.parse(JSON.parse(body));
    if (secret !== this.#options.secret) throw new AppError('JOIN_TOKEN_INVALID', { message: 'The join token is unknown.' });
    const refusal = this.behaviour.refuseJoins.shift();
    if (refusal !== undefined) throw new AppError(refusal, { message: 'An operator decides about this join.' });
    return this.#issue(csrPem, name ?? this.#options.defaultName, this.behaviour.certificatePeriod);
  }

  async #issue(csrPem: string, device: string, period: Period): Promise<unknown> {
    const request = new Pkcs10CertificateRequest(csrPem);
    const certificatePem = await this.#options.authority.deviceCertificate(device, request.publicKey, period);
    return this.behaviour.shapeAnswer({ device, certificatePem, caPem: this.#options.authority.pem, trust: this.#trust() });
  }

  #trust() {
    const { pem, der } = this.#options.authority;
    return { caPem: pem, packageCaPem: pem, issuerSha256: createHash('sha256').update(der).digest('hex') };
  }

  #sendBlob(sha256: string, request: IncomingMessage, response: ServerResponse): void {
    const content = this.behaviour.blobs.get(sha256);
    if (content === undefined) throw new AppError('NOT_FOUND', { message: 'This device has no use for this blob.' });
    const offset = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (offset > 0 && offset >= content.length) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
      return;
    }
    const fault = this.behaviour.blobFault?.(sha256, offset);
    const part = content.subarray(offset);
    response.writeHead(offset > 0 ? 206 : 200, {
      etag: `"${sha256}"`,
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
      'content-length': part.length,
      ...(offset > 0 ? { 'content-range': `bytes ${offset}-${content.length - 1}/${content.length}` } : {}),
    });
    if (request.method === 'HEAD') response.end();
    else if (fault === undefined) response.end(part);
    else if (fault === 'corrupt') response.end(corrupted(part));
    else response.write(part.subarray(0, fault.cutAfterBytes), () => response.destroy());
  }
}

/** The last byte is another one. */
function corrupted(part: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(part);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 0xff;
  return copy;
}

function sendJson(response: ServerResponse, status: number, value: unknown, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(value));
}

/** The name in the client certificate. */
function deviceOf(request: IncomingMessage): string | undefined {
  const { socket } = request;
  if (!('getPeerCertificate' in socket) || typeof socket.getPeerCertificate !== 'function') return undefined;
  const subject: unknown = socket.getPeerCertificate()?.subject;
  return typeof subject === 'object' && subject !== null && 'CN' in subject && typeof subject.CN === 'string' ? subject.CN : undefined;
}
