import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay whose link can be cut as a cable is: connections stay open, nothing passes, and nobody is told; nothing is lost either. */
export class SilentRelay {
  readonly #sockets = new Set<Socket>();
  #target: URL | undefined;
  #isCut = false;
  #bytesPerS: number | undefined;
  #delayMs = 0;
  readonly #server = createServer((client) => this.#forward(client));

  async start(targetUrl: string): Promise<string> {
    this.#target = new URL(targetUrl);
    if (!this.#server.listening) await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  mend(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  slow(bitsPerS: number | undefined): void {
    this.#bytesPerS = bitsPerS === undefined ? undefined : bitsPerS / 8;
  }

  /** From now on everything arrives so much later, each way. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  #forward(client: Socket): void {
    const upstream = connect(Number(this.#target?.port), this.#target?.hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        this.#later(() => to.writable && to.write(chunk));
        if (this.#bytesPerS === undefined || from === client) return;
        from.pause();
        setTimeout(() => this.#isCut || from.resume(), (chunk.length / this.#bytesPerS) * 1000);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        this.#later(() => to.destroy());
      });
    }
    if (this.#isCut) for (const socket of [client, upstream]) socket.pause();
  }

  /** Timers of the same length end in the order in which they began. */
  #later(act: () => unknown): void {
    if (this.#delayMs === 0) act();
    else setTimeout(act, this.#delayMs);
  }
}
