import { createHash, hkdfSync } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { type Logger, listenOrExplain } from '@selvedge/runtime';
import type { PresentedCertificate } from '../../domain/device-identity.ts';
import { HttpEndpoint, type HttpHandlers } from './http-endpoint.ts';
import { MqttEndpoint, type MqttHandlers } from './mqtt-endpoint.ts';

export interface DeviceListenerOptions {
  host: string;
  port: number;
  handlers: MqttHandlers & HttpHandlers;
  log: Logger;
  /** MQTT is spoken by a broker of its own: who tries it here is told so. */
  hasOtherBroker?: boolean;
}

export interface TlsCredentials {
  key: string;
  cert: string;
  /** The authority that signs client certificates, PEM. */
  ca: string;
}

/** First byte of an MQTT CONNECT packet; HTTP begins with a letter. */
const MQTT_CONNECT = 0x10;
/** CONNACK with return code 3: an agent that knows of brokers asks over HTTP where it is to go. */
const SERVER_UNAVAILABLE = Buffer.from([0x20, 2, 0, 3]);
const HANDSHAKE_TIMEOUT_MS = 10_000;
const FIRST_BYTE_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 25_000;
/** Connections that have not yet shown a certificate and a first byte. */
const MAX_UNKNOWN_CONNECTIONS = 300;
const TCP_KEEPALIVE_MS = 60_000;
const SESSION_SECONDS = 86_400;

/**
 * A device that comes back goes on with its session: neither side sends certificates or signs anything, and the handshake costs a third
 * less. The server keeps nothing for it, the device brings all in a ticket.
 *
 * The key of tickets is made of the port's key, so that sessions outlive a restart, and of the authorities, so that they end when one of
 * these is no longer trusted.
 */
function tlsOptionsOf(credentials: TlsCredentials) {
  const authorities = createHash('sha256').update(credentials.ca).digest();
  const ticketKeys = Buffer.from(hkdfSync('sha256', credentials.key, authorities, 'selvedge: tickets of the device port', 48));
  return { ...credentials, minVersion: 'TLSv1.2', ticketKeys, sessionTimeout: SESSION_SECONDS, sessionIdContext: 'selvedge' } as const;
}

/**
 * The device port: one TLS listener on which MQTT and HTTP/1.1 are told apart by their first byte.
 *
 * A client certificate is asked for but not demanded, because an agent that joins has none; who may do what is decided
 * for each connection and request against the store, never by the handshake alone.
 */
export class DeviceListener {
  readonly mqtt: MqttEndpoint;
  readonly #http: HttpEndpoint;
  readonly #options: DeviceListenerOptions;
  /** Every open socket with the device that its certificate names, known or not. */
  readonly #sockets = new Map<Socket, string | undefined>();
  /** Host and port of those that have not yet shown a certificate and a first byte. */
  readonly #unknown = new Set<string>();
  #server: Server | undefined;

  constructor(options: DeviceListenerOptions) {
    this.#options = options;
    this.mqtt = new MqttEndpoint(options.handlers, options.log);
    this.#http = new HttpEndpoint(options.handlers, options.log);
  }

  /** The broker must run already, so that the first device to connect finds its desired state. @returns the port. @throws AppError PORT_IN_USE (user). */
  async start(credentials: TlsCredentials): Promise<number> {
    const { host, port } = this.#options;
    const server = createServer({
      ...tlsOptionsOf(credentials),
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on('connection', (socket: Socket) => this.#admit(socket));
    server.on('secureConnection', (socket) => this.#classify(socket));
    server.on('tlsClientError', (error) => this.#options.log.debug('a handshake failed', { error: error.message }));
    await listenOrExplain(
      async () => {
        server.listen(port, host);
        await once(server, 'listening');
      },
      { host, port, flag: '--device-port' },
    );
    server.on('error', (error) => this.#options.log.error('the device port failed', { error: error.message }));
    this.#http.start();
    this.#server = server;
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server === undefined ? undefined : once(server, 'close');
    server?.close();
    this.#http.stop();
    await this.mqtt.stop();
    for (const socket of this.#sockets.keys()) socket.destroy();
    await closed;
  }

  /** New connections get the new certificate; open ones stay. */
  setCredentials(credentials: TlsCredentials): void {
    this.#server?.setSecureContext(tlsOptionsOf(credentials));
  }

  /** Closes every socket whose certificate names this device, at once. */
  disconnect(device: string): void {
    for (const [socket, name] of this.#sockets) if (name === device) socket.destroy();
  }

  #admit(socket: Socket): void {
    if (this.#unknown.size >= MAX_UNKNOWN_CONNECTIONS) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    const source = sourceOf(socket);
    this.#unknown.add(source);
    this.#sockets.set(socket, undefined);
    socket.once('close', () => {
      this.#unknown.delete(source);
      this.#sockets.delete(socket);
    });
  }

  #classify(socket: TLSSocket): void {
    const { log } = this.#options;
    const certificate = presentedCertificate(socket);
    this.#sockets.set(socket, certificate?.commonName);
    const source = sourceOf(socket);
    const timer = setTimeout(() => socket.destroy(), FIRST_BYTE_TIMEOUT_MS);
    const ignore = (error: Error) => log.debug('a device connection broke', { error: error.message });
    const look = () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      clearTimeout(timer);
      this.#unknown.delete(source);
      socket.off('readable', look);
      socket.off('error', ignore);
      socket.unshift(chunk);
      if (chunk[0] === MQTT_CONNECT && this.#options.hasOtherBroker === true) {
        log.warn('a device tried MQTT here, but devices use another broker', { device: certificate?.commonName });
        socket.end(SERVER_UNAVAILABLE);
      } else if (chunk[0] === MQTT_CONNECT) this.mqtt.accept(socket, certificate);
      else this.#http.accept(socket, certificate);
    };
    socket.on('readable', look);
    socket.on('error', ignore);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
    });
  }
}

function sourceOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

/** What the client showed in the handshake; undefined when it showed nothing. */
function presentedCertificate(socket: TLSSocket): PresentedCertificate | undefined {
  const peer = socket.getPeerCertificate();
  if (peer?.raw === undefined) return undefined;
  const reason = String(socket.authorizationError ?? '');
  const refusedAsExpired = !socket.authorized && reason.includes('CERT_HAS_EXPIRED');
  // a resumed session carries the verdict of the handshake that began it, which may be outdated
  const expired = refusedAsExpired || Date.parse(peer.valid_to) < Date.now();
  const { CN } = peer.subject;
  return {
    commonName: typeof CN === 'string' ? CN : '',
    fingerprint256: peer.fingerprint256.replaceAll(':', '').toLowerCase(),
    trusted: socket.authorized || refusedAsExpired,
    expired,
  };
}
