import { type AddressInfo, connect, createServer, type Server } from 'node:net';

/** Counts the bytes on the wire between two programs, TLS included; TCP/IP headers are estimated at 52 bytes a segment. */
export class CountingProxy {
  bytes = 0;
  segments = 0;
  #server: Server | undefined;

  /** @returns the port to use in place of the target's. */
  async start(target: { hostname: string; port: number }): Promise<number> {
    const server = createServer((client) => {
      const upstream = connect(target.port, target.hostname);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.on('data', (chunk: Buffer) => {
          this.bytes += chunk.length;
          // Each data segment is answered by an acknowledgement of its own at worst.
          this.segments += 2 * Math.ceil(chunk.length / 1448);
          to.write(chunk);
        });
        from.on('close', () => to.destroy());
        from.on('error', () => to.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    this.#server = server;
    return (server.address() as AddressInfo).port;
  }

  /** So far, with the headers. */
  get wireBytes(): number {
    return this.bytes + this.segments * 52;
  }

  stop(): void {
    this.#server?.close();
  }
}
