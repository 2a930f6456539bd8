import 'reflect-metadata';
import { KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTls, type TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import {
  type Command,
  type DesiredState,
  type DesiredWorkload,
  type DeviceBudgets,
  deviceTopic,
  formatJoinToken,
  joinRequestSchema,
  type Reply,
  type ReportedState,
  renewRequestSchema,
  replySchema,
  reportedStateSchema,
  SERVER_TLS_NAME,
  type WorkloadReport,
} from '@selvedge/contract';
import { sha256Hex, waitUntil } from '@selvedge/runtime';
import type { PackageSigner } from '@selvedge/runtime/package-sealing';
import { Aedes } from 'aedes';
import type { TestPackage } from './make-package.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SECRET = 'a-secret-of-a-test-token';

async function makeAuthority() {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=Test CA',
      keys,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    },
    webcrypto,
  );
  return { keys, certificate };
}
type Authority = Awaited<ReturnType<typeof makeAuthority>>;

function issue(
  authority: Authority,
  subject: string,
  publicKey: x509.PublicKey | webcrypto.CryptoKey,
  lifeMs: number,
  names: string[] = [],
  fromMs = -60_000,
) {
  return x509.X509CertificateGenerator.create(
    {
      subject,
      issuer: authority.certificate.subject,
      publicKey,
      signingKey: authority.keys.privateKey,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() + fromMs),
      notAfter: new Date(Date.now() + lifeMs),
      extensions: names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })))] : [],
    },
    webcrypto,
  );
}

type WithoutVersion<T> = T extends unknown ? Omit<T, 'v'> : never;

/** What a test does to a blob on its way to the agent. */
export type BlobFault = (response: ServerResponse, content: Buffer, offset: number) => boolean;

/** A small server with the real protocols on one TLS port: aedes, join, renew, blobs. */
export class TestServer {
  readonly broker: Aedes;
  readonly blobs = new Map<string, Buffer>();
  readonly reports: ReportedState[] = [];
  readonly messages: { topic: string; payload: string }[] = [];
  readonly blobRequests: { sha256: string; offset: number }[] = [];
  /** Life of the certificates that it issues. */
  certificateLifeMs = 3_600_000;
  /** When its own certificate holds, from now; set before `listen`. */
  certificatePeriod = { fromMs: -60_000, untilMs: 3_600_000 };
  blobFault: BlobFault | undefined;
  renewals = 0;
  readonly #authority: Authority;
  readonly #http = createHttp((request, response) => void this.#answer(request, response));
  readonly #sockets = new Set<TLSSocket>();
  #tls: ReturnType<typeof createTls> | undefined;
  #port = 0;
  #revision = 0;

  private constructor(authority: Authority, broker: Aedes) {
    this.#authority = authority;
    this.broker = broker;
    broker.on('publish', (packet) => {
      const payload = packet.payload.toString();
      this.messages.push({ topic: packet.topic, payload });
      if (packet.topic.endsWith('/reported')) this.reports.push(reportedStateSchema.parse(JSON.parse(payload)));
    });
  }

  static async start(): Promise<TestServer> {
    const server = new TestServer(await makeAuthority(), await Aedes.createBroker());
    await server.listen();
    return server;
  }

  get port(): number {
    return this.#port;
  }
  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }
  get caPem(): string {
    return this.#authority.certificate.toString('pem');
  }
  get token(): string {
    const caSha256 = sha256Hex(Buffer.from(this.#authority.certificate.rawData));
    return formatJoinToken({ secret: SECRET, caSha256, expiresAt: new Date(Date.now() + 60_000).toISOString() });
  }

  /** Opens the port; the same one again after `close`. */
  async listen(): Promise<void> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const { fromMs, untilMs } = this.certificatePeriod;
    const certificate = await issue(this.#authority, 'CN=server', keys.publicKey, untilMs, [SERVER_TLS_NAME], fromMs);
    const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
    const tls = createTls(
      { key, cert: `${certificate.toString('pem')}\n${this.caPem}`, ca: this.caPem, requestCert: true, rejectUnauthorized: false },
      (socket) => this.#sort(socket),
    );
    tls.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => tls.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (tls.address() as AddressInfo).port;
    this.#tls = tls;
  }

  /** Closes the port and cuts every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => (this.#tls ? this.#tls.close(() => resolve()) : resolve()));
    this.cut();
    await closed;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    await this.close();
    await new Promise<void>((resolve) => this.broker.close(() => resolve()));
  }

  addPackage(pack: TestPackage): void {
    for (const [sha256, content] of pack.blobs) this.blobs.set(sha256, content);
  }

  /** A signer of packages that the CA of this server vouches for. */
  async packageSigner(): Promise<PackageSigner> {
    const keys = (await webcrypto.subtle.generateKey({ name: 'Ed25519' }, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
    const certificate = await x509.X509CertificateGenerator.create(
      {
        subject: 'CN=test package signer',
        issuer: this.#authority.certificate.subject,
        publicKey: keys.publicKey,
        signingKey: this.#authority.keys.privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: new Date(Date.now() - 60_000),
        notAfter: new Date(Date.now() + 3_600_000),
        extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.codeSigning])],
      },
      webcrypto,
    );
    return { privateKey: KeyObject.from(keys.privateKey), certificatePem: certificate.toString('pem') };
  }

  workload(pack: TestPackage, more: Partial<DesiredWorkload> = {}): DesiredWorkload {
    const { model, version } = pack.manifest;
    const manifest = { sha256: sha256Hex(pack.manifestBytes), sizeBytes: pack.manifestBytes.length };
    return { name: 'colours', kind: 'model-server', model, version, manifest, servingPort: 0, ...more };
  }

  async desire(device: string, workloads: DesiredWorkload[], budgets?: DeviceBudgets): Promise<void> {
    this.#revision += 1;
    const desired: DesiredState = { v: 1, revision: this.#revision, workloads, budgets };
    await this.publish(deviceTopic(device, 'desired'), desired, true);
  }

  publish(topic: string, message: unknown, retain = false): Promise<void> {
    return new Promise((resolve, reject) => {
      this.broker.publish({ cmd: 'publish', topic, payload: JSON.stringify(message), qos: 1, retain, dup: false }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  async command(device: string, command: WithoutVersion<Command>): Promise<Reply> {
    await this.publish(deviceTopic(device, 'commands'), { v: 1, ...command });
    return waitUntil(
      () => {
        const replies = this.messages.filter((message) => message.topic === deviceTopic(device, 'replies'));
        return replies.map((message) => replySchema.parse(JSON.parse(message.payload))).find((reply) => reply.id === command.id);
      },
      { timeoutMs: 10_000, what: 'the reply' },
    );
  }

  /** Waits for a report of the workload that satisfies the condition; looks at the newest only. */
  reported(what: string, isIt: (workload: WorkloadReport) => boolean, name = 'colours', timeoutMs = 20_000): Promise<WorkloadReport> {
    return waitUntil(
      () => {
        const found = this.reports.at(-1)?.workloads.find((workload) => workload.name === name);
        return found !== undefined && isIt(found) ? found : undefined;
      },
      { timeoutMs, what: `a report that ${what}; the last is ${JSON.stringify(this.reports.at(-1)?.workloads)}` },
    );
  }

  #sort(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      socket.unshift(chunk);
      if (chunk[0] === 0x10) this.broker.handle(socket);
      else this.#http.emit('connection', socket);
      socket.resume();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    if (request.method === 'GET' && path.startsWith('/device/v1/blobs/')) this.#sendBlob(path.slice(17), request, response);
    else if (path === '/device/v1/join') await this.#join(request, response);
    else if (path === '/device/v1/renew') await this.#renew(request, response);
    else response.writeHead(404).end();
  }

  #sendBlob(sha256: string, request: IncomingMessage, response: ServerResponse): void {
    const content = this.blobs.get(sha256);
    const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    this.blobRequests.push({ sha256, offset });
    if (!content) {
      response.writeHead(404).end();
      return;
    }
    if (this.blobFault?.(response, content, offset)) return;
    response.writeHead(offset > 0 ? 206 : 200, { 'content-length': content.length - offset });
    response.end(content.subarray(offset));
  }

  async #join(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = joinRequestSchema.parse(await readJson(request));
    if (body.secret !== SECRET) {
      const problem = {
        type: '',
        title: '',
        status: 401,
        detail: 'The token is used up.',
        code: 'JOIN_TOKEN_INVALID',
        kind: 'user',
        retryable: false,
      };
      response.writeHead(401, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
      return;
    }
    await this.#issue(body.csrPem, body.name ?? 'device-1', response);
  }

  async #renew(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.renewals += 1;
    const peer = (request.socket as TLSSocket).getPeerX509Certificate();
    const name = /CN=(.+)/.exec(peer?.subject ?? '')?.[1] ?? 'nobody';
    await this.#issue(renewRequestSchema.parse(await readJson(request)).csrPem, name, response);
  }

  async #issue(csrPem: string, device: string, response: ServerResponse): Promise<void> {
    const request = new x509.Pkcs10CertificateRequest(csrPem);
    if (!(await request.verify(webcrypto))) throw new Error('bad request');
    const certificate = await issue(this.#authority, `CN=${device}`, request.publicKey, this.certificateLifeMs);
    const answer = { device, certificatePem: certificate.toString('pem'), caPem: this.caPem };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

export function serialOf(certPem: string): string {
  return new X509Certificate(certPem).serialNumber;
}
