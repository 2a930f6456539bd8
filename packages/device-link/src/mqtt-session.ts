import type { TLSSocket } from 'node:tls';
import type { Logger } from '@selvedge/runtime';
import { generate, type IPublishPacket, type Packet, parser, writeToStream } from 'mqtt-packet';
import type { LinkMeter } from './link-meter.ts';
import type { ServerAccess } from './server-access.ts';
import { checkServer, dialUnchecked } from './server-check.ts';

// Otherwise the library makes 65,536 two-byte buffers once and keeps them.
writeToStream.cacheNumbers = false;

export interface MqttSessionOptions {
  endpoint: ServerAccess;
  clientId: string;
  username: string;
  will: { topic: string; payload: string };
  /** Topics subscribed to with QoS 1 as part of connecting. */
  subscriptions: readonly string[];
  keepaliveMs: number;
  /** How long the server may take to answer: the handshake as a whole, and each ping. */
  answerTimeoutMs: number;
  /** A packet larger than this ends the connection. */
  maxPacketBytes: number;
  log: Logger;
  /** The message is acknowledged when this resolves. */
  onMessage: (topic: string, payload: Uint8Array) => Promise<void> | void;
  onAcknowledged: (messageId: number) => void;
  /** Told what the answers took. */
  link?: LinkMeter | undefined;
}

const SUBSCRIBE_ID = 65_535;
/** The time of a larger message says more of the rate than of the round trip. */
const MAX_TIMED_BYTES = 4096;

/**
 * One MQTT 3.1.1 connection over TLS, from CONNECT to its end. Every session is clean: what must outlive a connection
 * is kept by MqttClient, and the broker keeps what is retained.
 *
 * A half-open connection is noticed: with nothing sent for `keepaliveMs` a PINGREQ goes out, and its answer must come
 * within `answerTimeoutMs`.
 */
export class MqttSession {
  readonly #options: MqttSessionOptions;
  readonly #parser = parser({ protocolVersion: 4 });
  #socket: TLSSocket | undefined;
  #keepalive: NodeJS.Timeout | undefined;
  #answer: NodeJS.Timeout | undefined;
  #unparsedBytes = 0;
  #reason: string | undefined;
  #refused = false;
  /** When the handshake's step or the ping under way was sent; performance.now(). */
  #askedMs = 0;
  #isPinging = false;
  /** When each message went out that is not acknowledged. */
  readonly #sentMs = new Map<number, number>();
  #ready: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #onClosed: (reason: string) => void = () => undefined;
  /** Resolves with the reason when the connection has ended; never rejects. */
  readonly closed = new Promise<string>((resolve) => {
    this.#onClosed = resolve;
  });

  constructor(options: MqttSessionOptions) {
    this.#options = options;
  }

  /** The server has answered that this device may not connect, or not here. */
  get refused(): boolean {
    return this.#refused;
  }

  /** This end of the connection, HOST:PORT, where a broker of its own is at the other, which does not tell the server. */
  get localAddress(): string | undefined {
    if (this.#options.endpoint.isBroker !== true || this.#socket?.localAddress === undefined) return undefined;
    return `${this.#socket.localAddress}:${this.#socket.localPort}`;
  }

  /** Connects and subscribes. Rejects when the server cannot be reached, is not the right one, or refuses. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#ready = { resolve, reject };
      this.#expectAnswer('the server did not answer in time');
      this.#parser.on('packet', (packet) => this.#receive(packet));
      this.#parser.on('error', (error: Error) => this.#end(`invalid packet: ${error.message}`));
      const socket = dialUnchecked(this.#options.endpoint);
      this.#socket = socket;
      socket.setNoDelay(true);
      socket.on('secureConnect', () => {
        try {
          checkServer(socket, this.#options.endpoint);
          this.#sendConnect();
        } catch (error) {
          this.#end(error instanceof Error ? error.message : String(error));
        }
      });
      socket.on('data', (chunk: Buffer) => this.#parse(chunk));
      socket.on('error', (error) => {
        // How a broker says that it does not take the certificate.
        if ('code' in error && /^ERR_SSL_.*ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA)/.test(String(error.code))) this.#refused = true;
        this.#end(error.message);
      });
      socket.on('close', () => this.#end('closed by the server'));
    });
  }

  /** @param retain - so that whoever subscribes later finds it. */
  publish(messageId: number, topic: string, payload: string | Buffer, dup: boolean, retain = false): void {
    if (payload.length <= MAX_TIMED_BYTES && this.#options.link !== undefined) this.#sentMs.set(messageId, performance.now());
    this.#send({ cmd: 'publish', topic, payload, qos: 1, dup, retain, messageId });
  }

  /** Says DISCONNECT, so that the broker does not publish the last will. */
  disconnect(): void {
    this.#send({ cmd: 'disconnect' });
    this.#socket?.end();
    this.#end('disconnected');
  }

  destroy(): void {
    this.#end('stopped');
  }

  #sendConnect(): void {
    const { clientId, username, will, keepaliveMs } = this.#options;
    this.#askedMs = performance.now();
    this.#send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId,
      username,
      keepalive: Math.ceil(keepaliveMs / 1000),
      will: { topic: will.topic, payload: will.payload, qos: 1, retain: this.#options.endpoint.isBroker === true },
    });
  }

  #send(packet: Packet): void {
    if (this.#socket === undefined || this.#reason !== undefined) return;
    this.#socket.write(generate(packet));
    this.#keepalive?.refresh();
  }

  #parse(chunk: Buffer): void {
    this.#unparsedBytes += chunk.length;
    this.#parser.parse(chunk);
    if (this.#unparsedBytes > this.#options.maxPacketBytes) this.#end('the server sent a packet that is too large');
  }

  #receive(packet: Packet): void {
    this.#unparsedBytes = 0;
    switch (packet.cmd) {
      case 'connack':
        this.#connected(packet.returnCode ?? 0);
        return;
      case 'suback':
        if (packet.granted.includes(128)) this.#end('the server refused a subscription');
        else this.#subscribed();
        return;
      case 'pingresp':
        this.#answered();
        return;
      case 'puback':
        if (packet.messageId !== undefined) this.#acknowledged(packet.messageId);
        return;
      case 'publish':
        void this.#deliver(packet);
        return;
      default:
        this.#end(`unexpected ${packet.cmd} packet`);
    }
  }

  #acknowledged(messageId: number): void {
    const sentMs = this.#sentMs.get(messageId);
    this.#sentMs.delete(messageId);
    if (sentMs !== undefined) this.#options.link?.answered(performance.now() - sentMs);
    this.#options.onAcknowledged(messageId);
  }

  #connected(returnCode: number): void {
    if (returnCode !== 0) {
      // 3: MQTT is spoken elsewhere by now.
      this.#refused = returnCode >= 3 && returnCode <= 5;
      const meaning = returnCode > 3 && this.#refused ? 'this device is not allowed to connect' : `return code ${returnCode}`;
      this.#end(`refused by the server: ${meaning}`);
      return;
    }
    this.#options.link?.answered(performance.now() - this.#askedMs);
    this.#askedMs = performance.now();
    const subscriptions = this.#options.subscriptions.map((topic) => ({ topic, qos: 1 as const }));
    this.#send({ cmd: 'subscribe', messageId: SUBSCRIBE_ID, subscriptions });
  }

  #subscribed(): void {
    this.#answered();
    this.#keepalive = setTimeout(() => this.#ping(), this.#options.keepaliveMs);
    this.#ready?.resolve();
    this.#ready = undefined;
  }

  #ping(): void {
    if (this.#answer === undefined) {
      this.#expectAnswer('the connection is dead: no answer to a ping');
      this.#askedMs = performance.now();
      this.#isPinging = true;
      this.#options.link?.pinged();
    }
    this.#send({ cmd: 'pingreq' });
    this.#keepalive?.refresh();
  }

  async #deliver(packet: IPublishPacket): Promise<void> {
    const { topic, payload, qos, messageId } = packet;
    try {
      await this.#options.onMessage(topic, typeof payload === 'string' ? Buffer.from(payload) : payload);
    } catch (error) {
      // Acknowledged all the same: a message that cannot be handled would otherwise come back for ever.
      this.#options.log.error('a message could not be handled', { topic, error: error instanceof Error ? error.message : String(error) });
    }
    if (qos === 1 && messageId !== undefined) this.#send({ cmd: 'puback', messageId });
  }

  #expectAnswer(otherwise: string): void {
    clearTimeout(this.#answer);
    this.#answer = setTimeout(() => {
      if (this.#isPinging) this.#options.link?.unanswered();
      this.#end(otherwise);
    }, this.#options.answerTimeoutMs);
  }

  #answered(): void {
    // A PINGRESP that nobody asked for says nothing.
    if (this.#answer !== undefined) this.#options.link?.answered(performance.now() - this.#askedMs);
    this.#isPinging = false;
    clearTimeout(this.#answer);
    this.#answer = undefined;
  }

  #end(reason: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearTimeout(this.#keepalive);
    clearTimeout(this.#answer);
    if (reason !== 'disconnected') this.#socket?.destroy();
    this.#ready?.reject(new Error(reason));
    this.#onClosed(reason);
  }
}
