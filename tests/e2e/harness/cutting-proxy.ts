import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy that can cut connections after so many bytes, or refuse them. */
export class CuttingProxy {
  readonly #target: { host: string; port: number };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Each new connection is cut after this many bytes towards the client; undefined: never. */
  cutAfterBytes: number | undefined;
  /** Likewise, towards the target. */
  cutAfterSentBytes: number | undefined;
  cuts = 0;
  /** Nothing comes through towards the client any more, of no connection; what goes to the target does. */
  isDeaf = false;

  constructor(targetUrl: string) {
    const url = new URL(targetUrl);
    this.#target = { host: url.hostname, port: Number(url.port) };
    this.#server = createServer((client) => this.#forward(client));
  }

  async start(host = '127.0.0.1'): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, host, resolve));
    return `https://${host}:${this.port}`;
  }

  /** Where it listens, once started. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #forward(client: Socket): void {
    const upstream = connect(this.#target);
    const limit = this.cutAfterBytes;
    let received = 0;
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    const sentLimit = this.cutAfterSentBytes;
    let sent = 0;
    client.pipe(upstream);
    client.on('data', (chunk: Buffer) => {
      sent += chunk.length;
      if (sentLimit === undefined || sent <= sentLimit) return;
      this.cuts += 1;
      client.destroy();
      upstream.destroy();
    });
    upstream.on('data', (chunk: Buffer) => {
      if (this.isDeaf) return;
      received += chunk.length;
      if (limit !== undefined && received > limit) {
        this.cuts += 1;
        client.destroy();
        upstream.destroy();
        return;
      }
      if (!client.write(chunk)) {
        upstream.pause();
        client.once('drain', () => upstream.resume());
      }
    });
  }

  /** Cuts every connection now; new ones are let through. */
  cut(): void {
    this.cuts += 1;
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
