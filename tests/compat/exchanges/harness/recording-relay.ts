import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { SERVER_TLS_NAME } from '@selvedge/contract';
import { readBounded } from '@selvedge/runtime';
import { generate, type Packet, parser } from 'mqtt-packet';

export interface Recorded {
  readonly from: 'device' | 'server';
  readonly over: 'http' | 'mqtt';
  readonly [field: string]: unknown;
}

export interface RelayOptions {
  /** What the server itself shows, so that the device finds what it pinned. */
  readonly credentials: { key: string; cert: string };
  readonly caPem: string;
  readonly targetPort: number;
  /** The device's own key and certificate, once it has them. */
  readonly identity: () => Promise<{ key: string; cert: string } | undefined>;
}

const MQTT_CONNECT = 0x10;
const MAX_BODY_BYTES = 16 * 1024 * 1024;

function jsonOrText(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Stands between a device and its server with the identities of both, and writes down what they say to each other. */
export class RecordingRelay {
  readonly lines: Recorded[] = [];
  readonly #options: RelayOptions;
  readonly #http = createHttp((request, response) => void this.#forward(request, response));
  readonly #sockets = new Set<TLSSocket>();
  #server: Server | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  async start(): Promise<string> {
    const { credentials } = this.#options;
    const server = createServer({ ...credentials, requestCert: true, rejectUnauthorized: false }, (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', (chunk: Buffer) => {
        socket.pause();
        socket.unshift(chunk);
        if (chunk[0] === MQTT_CONNECT) return void this.#pipe(socket);
        this.#http.emit('connection', socket);
        socket.resume();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#server = server;
    const address = server.address();
    return `https://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
  }

  async #upstream() {
    const { caPem, targetPort, identity } = this.#options;
    return { host: '127.0.0.1', port: targetPort, servername: SERVER_TLS_NAME, ca: caPem, ...(await identity()) };
  }

  async #forward(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url: path, headers } = incoming;
    const body = await readBounded(incoming, MAX_BODY_BYTES, 'The body is too large.');
    const { range } = headers;
    this.lines.push({
      from: 'device',
      over: 'http',
      method,
      path,
      ...(range === undefined ? {} : { range }),
      ...(body.length > 0 ? { body: jsonOrText(body) } : {}),
    });
    const sent = httpsRequest({ ...(await this.#upstream()), method, path, headers, agent: false }, async (answer) => {
      const content = await readBounded(answer, MAX_BODY_BYTES, 'The answer is too large.');
      const type = String(answer.headers['content-type'] ?? '');
      const shown = type.includes('json') ? jsonOrText(content) : { bytes: content.length };
      this.lines.push({ from: 'server', over: 'http', status: answer.statusCode, type, body: shown });
      response.writeHead(answer.statusCode ?? 500, answer.headers).end(content);
    });
    sent.on('error', () => response.destroy());
    sent.end(body);
  }

  async #pipe(device: TLSSocket): Promise<void> {
    const server = connect(await this.#upstream());
    const pass = (from: 'device' | 'server', source: TLSSocket, target: TLSSocket) => {
      const parse = parser({ protocolVersion: 4 });
      parse.on('packet', (packet: Packet) => {
        this.#note(from, packet);
        if (!target.destroyed) target.write(generate(packet));
      });
      source.on('data', (chunk: Buffer) => void parse.parse(chunk));
      source.on('error', () => target.destroy());
      source.on('close', () => target.destroy());
    };
    pass('device', device, server);
    pass('server', server, device);
    device.resume();
  }

  #note(from: 'device' | 'server', packet: Packet): void {
    const { cmd } = packet;
    if (cmd === 'pingreq' || cmd === 'pingresp') return;
    const base = { from, over: 'mqtt' as const, cmd };
    if (packet.cmd === 'publish') {
      const { topic, qos, retain, messageId, payload } = packet;
      this.lines.push({ ...base, topic, qos, retain, messageId, payload: jsonOrText(Buffer.from(payload)) });
    } else if (packet.cmd === 'connect') {
      const { clientId, clean, username, keepalive, protocolVersion, will } = packet;
      const last =
        will === undefined
          ? null
          : { topic: will.topic, qos: will.qos, retain: will.retain, payload: jsonOrText(Buffer.from(will.payload)) };
      this.lines.push({ ...base, clientId, clean, username, keepalive, protocolVersion, will: last });
    } else if (packet.cmd === 'subscribe') this.lines.push({ ...base, messageId: packet.messageId, subscriptions: packet.subscriptions });
    else if (packet.cmd === 'suback') this.lines.push({ ...base, messageId: packet.messageId, granted: packet.granted });
    else if (packet.cmd === 'connack') this.lines.push({ ...base, returnCode: packet.returnCode });
    else if (packet.cmd === 'puback') this.lines.push({ ...base, messageId: packet.messageId });
    else this.lines.push(base);
  }
}
