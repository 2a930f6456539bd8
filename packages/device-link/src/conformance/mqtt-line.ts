import type { TLSSocket } from 'node:tls';
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import type { SeenLog } from './seen.ts';

/** What the server does with a message of the device. */
export type PublishVerdict = 'acknowledge' | 'cut';

export interface MqttLineOptions {
  readonly connection: number;
  readonly seen: SeenLog;
  /** Return code of CONNACK; 0 lets it in. */
  readonly returnCode: () => number;
  /** What is sent, as a retained message, when this topic is subscribed to. */
  readonly retained: (topic: string) => string | undefined;
  readonly verdict: (packet: IPublishPacket) => PublishVerdict;
}

/** The server's end of one MQTT connection: it notes every packet, and answers as the protocol wants or as a fault wants it. */
export class MqttLine {
  readonly #socket: TLSSocket;
  readonly #options: MqttLineOptions;
  readonly #subscribed = new Set<string>();
  #nextId = 0;

  constructor(socket: TLSSocket, options: MqttLineOptions) {
    this.#socket = socket;
    this.#options = options;
    const parse = parser({ protocolVersion: 4 });
    parse.on('packet', (packet) => this.#receive(packet));
    parse.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => void parse.parse(chunk));
  }

  hears(topic: string): boolean {
    return this.#subscribed.has(topic) && !this.#socket.destroyed;
  }

  /** @returns the packet identifier, by which the acknowledgement is known. */
  publish(topic: string, payload: string, options: { retain: boolean; dup?: boolean }): number {
    this.#nextId += 1;
    const messageId = this.#nextId;
    this.#options.seen.add({ kind: 'sent', connection: this.#options.connection, topic, messageId });
    this.#send({ cmd: 'publish', topic, payload, qos: 1, dup: options.dup === true, retain: options.retain, messageId });
    return messageId;
  }

  #send(packet: Packet): void {
    if (!this.#socket.destroyed) this.#socket.write(generate(packet));
  }

  #receive(packet: Packet): void {
    const { seen, connection, returnCode } = this.#options;
    seen.add({ kind: 'mqtt', connection, packet });
    switch (packet.cmd) {
      case 'connect': {
        const code = returnCode();
        this.#send({ cmd: 'connack', returnCode: code, sessionPresent: false });
        if (code !== 0) this.#socket.end();
        return;
      }
      case 'subscribe': {
        const granted = packet.subscriptions.map(({ qos }) => qos);
        this.#send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted });
        for (const { topic } of packet.subscriptions) this.#subscribe(topic);
        return;
      }
      case 'publish':
        if (this.#options.verdict(packet) === 'cut') this.#socket.destroy();
        else if (packet.qos === 1) this.#send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
        return;
      case 'pingreq':
        this.#send({ cmd: 'pingresp' });
        return;
      case 'disconnect':
        this.#socket.end();
        return;
      default:
        return;
    }
  }

  #subscribe(topic: string): void {
    this.#subscribed.add(topic);
    const retained = this.#options.retained(topic);
    if (retained !== undefined) this.publish(topic, retained, { retain: true });
  }
}
