import type { Socket } from 'node:net';

/** Counts the bytes of connections, both ways, as they go over the wire (without the headers of TCP and IP). */
export class TrafficMeter {
  readonly #open = new Map<Socket, number>();
  #ended = 0;

  watch(socket: Socket): void {
    this.#open.set(socket, 0);
    socket.once('close', () => {
      this.#ended += this.#more(socket);
      this.#open.delete(socket);
    });
  }

  /** What has come together since the last call. */
  take(): number {
    let bytes = this.#ended;
    this.#ended = 0;
    for (const socket of this.#open.keys()) bytes += this.#more(socket);
    return bytes;
  }

  #more(socket: Socket): number {
    const now = socket.bytesRead + socket.bytesWritten;
    const before = this.#open.get(socket) ?? 0;
    this.#open.set(socket, now);
    return Math.max(0, now - before);
  }
}
