import { randomBytes } from 'node:crypto';
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { type DeviceTopic, deviceTopic, formatJoinToken } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';
import type { IPublishPacket } from 'mqtt-packet';
import { MqttLine, type PublishVerdict } from './mqtt-line.ts';
import { ScratchAuthority, USUAL } from './scratch-authority.ts';
import { type HttpBehaviour, ScratchHttp } from './scratch-http.ts';
import { SeenLog } from './seen.ts';

/** Who the server says that it is, to connections that are still to come. */
export type Persona = 'itself' | 'foreign-authority' | 'other-name' | 'not-yet-valid';

const MQTT_CONNECT = 0x10;
const YEAR_MS = 365 * 86_400_000;
const DEFAULT_NAME = 'conformance-1';

/**
 * A device port that is scripted: the real protocol on one TLS port with an authority of its own, every event noted, and
 * each fault at hand. It knows one device.
 */
export class ScratchServer {
  readonly seen = new SeenLog();
  /** The name that the device got, or will get. */
  device = DEFAULT_NAME;
  /** Desired state, sent to whom subscribes; undefined keeps it back. */
  retainedDesired: string | undefined;
  /** False: every connection is cut as soon as it is there. */
  isOpen = true;
  returnCode = 0;
  verdict: (packet: IPublishPacket) => PublishVerdict = () => 'acknowledge';
  readonly http: HttpBehaviour;
  readonly #authority: ScratchAuthority;
  readonly #foreign: ScratchAuthority;
  readonly #http: ScratchHttp;
  readonly #secret: string;
  readonly #expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  readonly #sockets = new Set<Socket>();
  readonly #lines = new Set<MqttLine>();
  #tls: Server | undefined;
  #tcp: TcpServer | undefined;
  #port = 0;
  #connections = 0;

  private constructor(authority: ScratchAuthority, foreign: ScratchAuthority) {
    this.#authority = authority;
    this.#foreign = foreign;
    this.#secret = randomBytes(18).toString('base64url');
    this.#http = new ScratchHttp({ authority, seen: this.seen, secret: this.#secret, defaultName: DEFAULT_NAME });
    this.http = this.#http.behaviour;
  }

  static async start(): Promise<ScratchServer> {
    const server = new ScratchServer(await ScratchAuthority.make('Conformance CA'), await ScratchAuthority.make('Another CA'));
    await server.#listen();
    return server;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** A token of this server, or one that names an authority which this server is not of. */
  token(of: 'itself' | 'foreign-authority' = 'itself'): string {
    const authority = of === 'itself' ? this.#authority : this.#foreign;
    return formatJoinToken({ secret: this.#secret, caSha256: sha256Hex(authority.der), expiresAt: this.#expiresAt });
  }

  get foreignCaPem(): string {
    return this.#foreign.pem;
  }

  async become(persona: Persona): Promise<void> {
    const issuer = persona === 'foreign-authority' ? this.#foreign : this.#authority;
    const name = persona === 'other-name' ? 'other.example' : undefined;
    const period = persona === 'not-yet-valid' ? { fromMs: YEAR_MS, untilMs: 2 * YEAR_MS } : USUAL;
    this.#tls?.setSecureContext({ ...(await issuer.serverCredentials(name, period)), minVersion: 'TLSv1.2' });
  }

  /** Cuts every connection that is open. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Sends to the device, if it listens. @returns the packet identifier; undefined when nobody hears it. */
  send(topic: DeviceTopic, message: unknown, options: { retain?: boolean; dup?: boolean } = {}): number | undefined {
    const name = deviceTopic(this.device, topic);
    const line = [...this.#lines].findLast((candidate) => candidate.hears(name));
    return line?.publish(name, JSON.stringify(message), { retain: options.retain === true, dup: options.dup === true });
  }

  async stop(): Promise<void> {
    this.cut();
    this.#tls?.close();
    await new Promise((resolve) => (this.#tcp === undefined ? resolve(undefined) : this.#tcp.close(resolve)));
  }

  async #listen(): Promise<void> {
    const credentials = await this.#authority.serverCredentials();
    const tls = createServer({ ...credentials, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' });
    const tcp = createTcpServer((socket) => this.#admit(socket, tls));
    tls.on('secureConnection', (socket) => this.#sort(socket, this.#numberOf(socket)));
    tls.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const address = tcp.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : 0;
    this.#tls = tls;
    this.#tcp = tcp;
  }

  readonly #numbers = new Map<number, number>();

  #admit(socket: Socket, tls: Server): void {
    this.#connections += 1;
    const connection = this.#connections;
    this.seen.add({ kind: 'tcp', connection });
    socket.on('error', () => undefined);
    if (!this.isOpen) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    const port = socket.remotePort ?? 0;
    this.#numbers.set(port, connection);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#numbers.delete(port);
      this.seen.add({ kind: 'closed', connection });
    });
    tls.emit('connection', socket);
  }

  #numberOf(socket: TLSSocket): number {
    return this.#numbers.get(socket.remotePort ?? 0) ?? 0;
  }

  #sort(socket: TLSSocket, connection: number): void {
    const peer = socket.getPeerX509Certificate();
    const certificate = peer === undefined ? undefined : sha256Hex(peer.raw);
    this.seen.add({ kind: 'tls', connection, protocol: socket.getProtocol() ?? '', certificate });
    socket.on('error', () => undefined);
    const look = () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      socket.off('readable', look);
      this.seen.add({ kind: 'data', connection });
      socket.unshift(chunk);
      if (chunk[0] === MQTT_CONNECT) this.#serveMqtt(socket, connection);
      else this.#http.accept(socket, connection);
    };
    socket.on('readable', look);
  }

  #serveMqtt(socket: TLSSocket, connection: number): void {
    const line = new MqttLine(socket, {
      connection,
      seen: this.seen,
      returnCode: () => this.returnCode,
      retained: (topic) => (topic === deviceTopic(this.device, 'desired') ? this.retainedDesired : undefined),
      verdict: (packet) => this.verdict(packet),
    });
    this.#lines.add(line);
    socket.on('close', () => this.#lines.delete(line));
  }
}
