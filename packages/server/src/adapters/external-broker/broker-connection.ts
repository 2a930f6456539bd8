import { connect, type TLSSocket } from 'node:tls';
import { MAX_DEVICE_MESSAGE_BYTES } from '@selvedge/contract';
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import { MqttPacketLimit } from '../../domain/mqtt-packet-limit.ts';

export interface BrokerAccess {
  readonly host: string;
  readonly port: number;
  /** Name in the broker's certificate. */
  readonly serverName: string;
  readonly ca: string;
  readonly key: string;
  readonly cert: string;
}

export interface BrokerConnectionOptions {
  readonly access: BrokerAccess;
  readonly clientId: string;
  /** A session that is not clean: what comes for it while it is away is kept by the broker. */
  readonly clean: boolean;
  readonly subscriptions: readonly string[];
  /** The message is acknowledged when this resolves; when it rejects the connection ends, and the broker delivers it again. */
  readonly onMessage: (packet: IPublishPacket) => Promise<void>;
}

const KEEPALIVE_S = 30;
const ANSWER_TIMEOUT_MS = 10_000;
const SUBSCRIBE_ID = 65_535;
const PACKET_OVERHEAD_BYTES = 1024;

interface Waiting {
  resolve: () => void;
  reject: (error: Error) => void;
}

/** One MQTT 3.1.1 connection of the server to a broker, from CONNECT to its end. */
export class BrokerConnection {
  readonly #options: BrokerConnectionOptions;
  readonly #unacknowledged = new Map<number, Waiting>();
  readonly #limit = new MqttPacketLimit(MAX_DEVICE_MESSAGE_BYTES + PACKET_OVERHEAD_BYTES);
  #socket: TLSSocket | undefined;
  #ready: Waiting | undefined;
  #answer: NodeJS.Timeout | undefined;
  #keepalive: NodeJS.Timeout | undefined;
  #nextId = 0;
  #reason: string | undefined;
  #onClosed: (reason: string) => void = () => undefined;
  /** Resolves with the reason when the connection has ended; never rejects. */
  readonly closed = new Promise<string>((resolve) => {
    this.#onClosed = resolve;
  });

  constructor(options: BrokerConnectionOptions) {
    this.#options = options;
  }

  /** Connects and subscribes. @throws Error when the broker cannot be reached, is another one, or refuses. */
  open(): Promise<void> {
    const { host, port, serverName, ca, key, cert } = this.#options.access;
    return new Promise((resolve, reject) => {
      this.#ready = { resolve, reject };
      this.#expectAnswer();
      const parse = parser({ protocolVersion: 4 });
      parse.on('packet', (packet) => this.#receive(packet));
      parse.on('error', (error: Error) => this.#end(`invalid packet: ${error.message}`));
      const socket = connect({ host, port, servername: serverName, ca, key, cert, minVersion: 'TLSv1.2' });
      this.#socket = socket;
      socket.setNoDelay(true);
      socket.on('secureConnect', () => this.#sendConnect());
      socket.on('data', (chunk: Buffer) => {
        if (this.#limit.accept(chunk)) parse.parse(chunk);
        else this.#end('the broker sent a packet that is too large');
      });
      socket.on('error', (error) => this.#end(error.message));
      socket.on('close', () => this.#end('closed by the broker'));
    });
  }

  /** Resolves when the broker has acknowledged; rejects when the connection ends before. */
  publish(topic: string, payload: string, retain: boolean): Promise<void> {
    if (this.#reason !== undefined) return Promise.reject(new Error(this.#reason));
    do this.#nextId = (this.#nextId % 65_000) + 1;
    while (this.#unacknowledged.has(this.#nextId));
    const messageId = this.#nextId;
    return new Promise((resolve, reject) => {
      this.#unacknowledged.set(messageId, { resolve, reject });
      this.#send({ cmd: 'publish', topic, payload, qos: 1, dup: false, retain, messageId });
    });
  }

  /** Says DISCONNECT. */
  close(): void {
    this.#send({ cmd: 'disconnect' });
    this.#socket?.end();
    this.#end('disconnected');
  }

  #sendConnect(): void {
    const { clientId, clean } = this.#options;
    this.#send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean, clientId, keepalive: KEEPALIVE_S });
  }

  #send(packet: Packet): void {
    if (this.#socket === undefined || this.#reason !== undefined) return;
    this.#socket.write(generate(packet));
  }

  #receive(packet: Packet): void {
    switch (packet.cmd) {
      case 'connack':
        this.#connected(packet.returnCode ?? 0);
        return;
      case 'suback':
        if (packet.granted.includes(128)) this.#end('the broker refused a subscription');
        else this.#subscribed();
        return;
      case 'puback':
        this.#unacknowledged.get(packet.messageId ?? 0)?.resolve();
        this.#unacknowledged.delete(packet.messageId ?? 0);
        return;
      case 'publish':
        void this.#deliver(packet);
        return;
      case 'pingresp':
        clearTimeout(this.#answer);
        return;
      default:
        this.#end(`unexpected ${packet.cmd} packet`);
    }
  }

  #connected(returnCode: number): void {
    const subscriptions = this.#options.subscriptions.map((topic) => ({ topic, qos: 1 as const }));
    if (returnCode !== 0) this.#end(`refused by the broker with return code ${returnCode}`);
    else if (subscriptions.length === 0) this.#subscribed();
    else this.#send({ cmd: 'subscribe', messageId: SUBSCRIBE_ID, subscriptions });
  }

  #subscribed(): void {
    clearTimeout(this.#answer);
    this.#keepalive = setInterval(() => {
      this.#send({ cmd: 'pingreq' });
      this.#expectAnswer();
    }, KEEPALIVE_S * 1000);
    this.#ready?.resolve();
    this.#ready = undefined;
  }

  async #deliver(packet: IPublishPacket): Promise<void> {
    try {
      await this.#options.onMessage(packet);
    } catch (error) {
      this.#end(`a message could not be taken: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    if (packet.qos === 1 && packet.messageId !== undefined) this.#send({ cmd: 'puback', messageId: packet.messageId });
  }

  #expectAnswer(): void {
    clearTimeout(this.#answer);
    this.#answer = setTimeout(() => this.#end('the broker does not answer'), ANSWER_TIMEOUT_MS);
  }

  #end(reason: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearTimeout(this.#answer);
    clearInterval(this.#keepalive);
    if (reason !== 'disconnected') this.#socket?.destroy();
    const error = new Error(reason);
    this.#ready?.reject(error);
    for (const { reject } of this.#unacknowledged.values()) reject(error);
    this.#unacknowledged.clear();
    this.#onClosed(reason);
  }
}
