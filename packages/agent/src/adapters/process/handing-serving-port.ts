import { createServer, type Server, type Socket } from 'node:net';
import { type Logger, listenOrExplain } from '@selvedge/runtime';
import type { ModelProcess } from '../../ports/model-process.ts';
import type { ServingPort } from '../../ports/serving-port.ts';

/** Connections that wait while nothing serves, and how long each does. */
const MAX_WAITING = 128;
const WAIT_MS = 10_000;
const BUSY_BODY = '{"error":"no version of the model is serving"}';
const BUSY_ANSWER = [
  'HTTP/1.1 503 Service Unavailable',
  'Retry-After: 2',
  'Content-Type: application/json',
  'Connection: close',
  `Content-Length: ${BUSY_BODY.length}`,
  '',
  BUSY_BODY,
].join('\r\n');

/**
 * Listens in the agent and hands each accepted connection, unread, to the model server that serves. The port therefore
 * never closes while versions are swapped or a process is started again, and no request is refused; once handed over,
 * a connection costs the agent nothing.
 */
export class HandingServingPort implements ServingPort {
  readonly #host: string;
  readonly #log: Logger;
  #server: Server | undefined;
  #target: ModelProcess | null = null;
  readonly #waiting = new Map<Socket, { timer: NodeJS.Timeout; isKept: boolean }>();

  constructor(log: Logger, host = '127.0.0.1') {
    this.#log = log;
    this.#host = host;
  }

  async open(port: number): Promise<number> {
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#accept(socket));
    await listenOrExplain(
      () =>
        new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen({ port, host: this.#host, backlog: 511 }, () => {
            server.off('error', reject);
            resolve();
          });
        }),
      { port, host: this.#host, flag: 'servingPort' },
    );
    server.on('error', (error) => this.#log.error('the serving port failed', { port, error: error.message }));
    this.#server?.close();
    this.#server = server;
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  route(target: ModelProcess | null): void {
    this.#target = target;
    if (target === null) return;
    target.onGivenBack((socket) => this.#takeBack(socket));
    for (const [socket, { timer, isKept }] of this.#waiting) {
      clearTimeout(timer);
      target.hand(socket, isKept);
    }
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#target = null;
    for (const [socket, { timer }] of this.#waiting) {
      clearTimeout(timer);
      socket.destroy();
    }
    this.#waiting.clear();
    // Listening ends at once. The callback is not awaited: Node calls it only when the connections that were handed to
    // child processes have ended as well, which is not ours to wait for.
    server?.close();
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy()); // the client went away
    this.#forward(socket, false);
  }

  #takeBack(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#server === undefined) socket.destroy();
    else this.#forward(socket, true);
  }

  #forward(socket: Socket, isKept: boolean): void {
    // A client that has not asked anything yet expects no answer either.
    const refuse = () => (isKept ? socket.destroy() : socket.end(BUSY_ANSWER));
    if (this.#target !== null) this.#target.hand(socket, isKept);
    else if (this.#waiting.size >= MAX_WAITING) refuse();
    else {
      const timer = setTimeout(() => {
        this.#waiting.delete(socket);
        refuse();
      }, WAIT_MS);
      this.#waiting.set(socket, { timer, isKept });
    }
  }
}
