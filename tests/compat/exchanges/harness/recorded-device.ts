import { connect, type TLSSocket } from 'node:tls';
import { parseJoinToken, SERVER_TLS_NAME } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { generate, type Packet, parser } from 'mqtt-packet';
import { ask, type Identity, makeRequest } from '../../../../packages/server/src/testing/device-client.ts';

type Line = Record<string, unknown>;

/** Says to a server what a device has said to one once, with keys and certificates of its own. */
export class RecordedDevice {
  readonly received: Packet[] = [];
  /** What is asked for now in place of a digest of the recording. */
  readonly digests = new Map<string, string>();
  readonly #port: number;
  readonly #token: string;
  #identity: Identity | undefined;
  #socket: TLSSocket | undefined;

  constructor(port: number, token: string) {
    this.#port = port;
    this.#token = token;
  }

  /** @returns status and body of the answer. */
  async request(line: Line): Promise<{ status: number; body: unknown }> {
    const { csrPem, keyPem } = await makeRequest();
    const { secret } = parseJoinToken(this.#token);
    const body =
      line.body === undefined
        ? undefined
        : JSON.parse(JSON.stringify(line.body).replace('{secret}', secret).replace('"{csrPem}"', JSON.stringify(csrPem)));
    const answer = await ask(this.#port, this.#path(line), { method: String(line.method), body, identity: this.#identity });
    const isJson = String(answer.headers['content-type']).includes('json');
    const content: unknown = isJson ? answer.json() : { bytes: answer.body.length };
    const issued = content as Partial<Record<'device' | 'certificatePem' | 'caPem', string>>;
    if (issued.certificatePem !== undefined) {
      const ca = `${issued.caPem}\n${this.#identity?.ca ?? ''}`;
      this.#identity = { name: issued.device ?? '', key: keyPem, cert: issued.certificatePem, ca };
    }
    return { status: answer.status, body: content };
  }

  #path({ path }: Line): string {
    return String(path).replace(/[0-9a-f]{64}/, (digest) => this.digests.get(digest) ?? digest);
  }

  /** Opens the connection that a recorded CONNECT begins. */
  async connect(line: Line): Promise<void> {
    if (this.#identity === undefined) throw new Error('the device has not joined');
    const { key, cert, ca } = this.#identity;
    this.#socket?.destroy();
    const socket = connect({ host: '127.0.0.1', port: this.#port, servername: SERVER_TLS_NAME, key, cert, ca });
    const parse = parser({ protocolVersion: 4 });
    parse.on('packet', (packet) => this.received.push(packet));
    socket.on('data', (chunk: Buffer) => void parse.parse(chunk));
    socket.on('error', () => undefined);
    this.#socket = socket;
    const { will } = line as { will: Line };
    this.send({ ...line, protocolId: 'MQTT', will: { ...will, payload: Buffer.from(JSON.stringify(will.payload)) } } as never);
    await this.until('connack', (packet) => packet.cmd === 'connack' && packet.returnCode === 0);
  }

  send(packet: Packet): void {
    this.#socket?.write(generate(packet));
  }

  until(what: string, isIt: (packet: Packet) => boolean): Promise<Packet> {
    return waitUntil(() => this.received.find(isIt), { timeoutMs: 15_000, intervalMs: 10, what });
  }

  end(): void {
    this.#socket?.destroy();
  }
}
