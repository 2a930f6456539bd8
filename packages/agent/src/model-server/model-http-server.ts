import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { listenOrExplain } from '@selvedge/runtime';

interface Connection {
  /** Requests under way, each with the time it began. */
  requests: number;
  idleSinceMs: number;
}

/** While draining, a connection that has been silent for this long is closed; a busy client has sent something by then. */
const DRAIN_IDLE_MS = 1000;
const DRAIN_LOOK_MS = 100;

/**
 * A node:http server that also takes connections accepted elsewhere, and that can be drained: it answers what was asked,
 * tells each client to connect anew, and is done when no connection is left.
 */
export class ModelHttpServer {
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();
  readonly #begun = new Map<ServerResponse, number>();
  #draining = false;

  constructor(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>) {
    this.#server = createServer(
      {
        maxHeaderSize: 16 * 1024,
        headersTimeout: 10_000,
        requestTimeout: 60_000,
        keepAliveTimeout: 60_000,
        connectionsCheckingInterval: 5000,
        noDelay: true,
      },
      (request, response) => {
        this.#began(request.socket, response);
        void handle(request, response);
      },
    );
    this.#server.maxConnections = 512;
    this.#server.on('connection', (socket: Socket) => this.#track(socket));
    this.#server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      else socket.destroy();
    });
  }

  /** @returns the port. @throws AppError PORT_IN_USE (user). */
  async listen(port: number, host: string): Promise<number> {
    await listenOrExplain(
      () =>
        new Promise<void>((resolve, reject) => {
          this.#server.once('error', reject);
          this.#server.listen({ port, host }, () => {
            this.#server.off('error', reject);
            resolve();
          });
        }),
      { port, host, flag: '--port' },
    );
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Serves a connection that another process accepted and did not read from. */
  take(socket: Socket): void {
    this.#server.emit('connection', socket);
    socket.resume();
  }

  /** How long the oldest request has been under way, in milliseconds; 0 when there is none. */
  oldestRequestMs(): number {
    const [first] = this.#begun.values(); // in order of insertion
    return first === undefined ? 0 : performance.now() - first;
  }

  /** Ends a drain: connections are kept again. */
  resume(): void {
    this.#draining = false;
  }

  /** Resolves when every request is answered and every connection closed, or when it is to go on. New connections are still answered, once each. */
  drain(): Promise<void> {
    this.#draining = true;
    for (const response of this.#begun.keys()) this.#closeAfter(response);
    return new Promise((resolve) => {
      const look = () => {
        const now = performance.now();
        for (const [socket, connection] of this.#draining ? this.#connections : []) {
          if (connection.requests === 0 && now - connection.idleSinceMs >= DRAIN_IDLE_MS) socket.destroy();
        }
        if (this.#connections.size === 0 || !this.#draining) resolve();
        else setTimeout(look, DRAIN_LOOK_MS);
      };
      look();
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  #track(socket: Socket): void {
    this.#connections.set(socket, { requests: 0, idleSinceMs: performance.now() });
    socket.on('close', () => this.#connections.delete(socket));
  }

  #began(socket: Socket, response: ServerResponse): void {
    const connection = this.#connections.get(socket);
    if (connection !== undefined) connection.requests += 1;
    this.#begun.set(response, performance.now());
    if (this.#draining) this.#closeAfter(response);
    response.on('close', () => {
      this.#begun.delete(response);
      if (connection === undefined) return;
      connection.requests -= 1;
      connection.idleSinceMs = performance.now();
    });
  }

  #closeAfter(response: ServerResponse): void {
    response.shouldKeepAlive = false;
    if (!response.headersSent) response.setHeader('connection', 'close');
  }
}
