import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { listenOrExplain } from '@selvedge/runtime';
import { detachFromServer } from './detach-connection.ts';

interface Connection {
  /** Requests under way, each with the time it began. */
  requests: number;
  idleSinceMs: number;
  /** Bytes that had come when its last answer was complete; more by now are the begin of a request. */
  bytesRead: number;
  /** It has sent a request before the answer to another one, so the begin of a third may have come along unnoticed. */
  pipelines: boolean;
  /** It came on our own port, not from another process: whoever asks there means us, and is not to be answered by others. */
  isOwn: boolean;
}

const KEEP_ALIVE_MS = 60_000;
/** While draining, a connection that cannot be given back is closed once it has been silent for this long. */
const DRAIN_IDLE_MS = 1000;
const DRAIN_LOOK_MS = 100;

/**
 * A node:http server that also takes connections accepted elsewhere, and that can be drained: it answers what was asked,
 * gives each connection away between two requests, and is done when none is left. Closing them instead would break off a
 * request that is on its way, as no client can know that the time it was promised for keeping the connection is over.
 */
export class ModelHttpServer {
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();
  readonly #begun = new Map<ServerResponse, number>();
  #draining = false;
  #giveBack: ((socket: Socket) => void) | undefined;

  constructor(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>) {
    this.#server = createServer(
      {
        maxHeaderSize: 16 * 1024,
        headersTimeout: 10_000,
        requestTimeout: 60_000,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: 5000,
        noDelay: true,
      },
      (request, response) => {
        this.#began(request.socket, response);
        void handle(request, response);
      },
    );
    this.#server.maxConnections = 512;
    this.#server.on('connection', (socket: Socket) => this.#track(socket, true));
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

  /**
   * Serves a connection that another process accepted and did not read from.
   *
   * @param isKept - it has had answers elsewhere: its client may be silent for as long as between two requests, where a
   *   newcomer has to ask soon.
   */
  take(socket: Socket, isKept = false): void {
    this.#track(socket, false);
    if (!isKept) {
      this.#server.emit('connection', socket);
      socket.resume();
      return;
    }
    socket.setTimeout(KEEP_ALIVE_MS, () => socket.destroy());
    const onError = () => socket.destroy();
    socket.on('error', onError);
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      socket.off('error', onError);
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.unshift(chunk);
      this.#server.emit('connection', socket);
      socket.resume();
    });
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

  /**
   * Resolves when every request is answered and no connection is left, or when it is to go on. New connections are still
   * answered, once each.
   *
   * @param giveBack - takes over, between two requests and unread, the connections that `take` was given. The clients of others,
   *   and without it all, are told to connect anew, and the silent ones are closed.
   */
  drain(giveBack?: (socket: Socket) => void): Promise<void> {
    this.#draining = true;
    this.#giveBack = giveBack;
    for (const response of this.#begun.keys()) this.#closeAfter(response);
    return new Promise((resolve) => {
      const look = () => {
        for (const [socket, connection] of this.#draining ? this.#connections : []) this.#letGo(socket, connection);
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

  #track(socket: Socket, isOwn: boolean): void {
    if (this.#connections.has(socket)) return;
    this.#connections.set(socket, { requests: 0, idleSinceMs: performance.now(), bytesRead: 0, pipelines: false, isOwn });
    socket.on('close', () => this.#connections.delete(socket));
  }

  /** Gives a silent connection away, or closes one that has been silent for long and cannot be given away. */
  #letGo(socket: Socket, connection: Connection): void {
    if (connection.requests > 0) return;
    const isClean = socket.bytesRead === connection.bytesRead && socket.writableLength === 0 && !connection.pipelines;
    if (this.#giveBack !== undefined && !connection.isOwn && isClean && detachFromServer(socket)) {
      this.#connections.delete(socket);
      this.#giveBack(socket);
    } else if (performance.now() - connection.idleSinceMs >= DRAIN_IDLE_MS) socket.destroy();
  }

  #began(socket: Socket, response: ServerResponse): void {
    const connection = this.#connections.get(socket);
    if (connection !== undefined) {
      connection.requests += 1;
      connection.pipelines ||= connection.requests > 1;
    }
    this.#begun.set(response, performance.now());
    if (this.#draining) this.#closeAfter(response);
    response.on('close', () => {
      this.#begun.delete(response);
      if (connection === undefined) return;
      connection.requests -= 1;
      connection.idleSinceMs = performance.now();
      connection.bytesRead = socket.bytesRead;
      // Not here: Node has not yet finished with the answer.
      if (this.#draining) setImmediate(() => this.#connections.has(socket) && this.#draining && this.#letGo(socket, connection));
    });
  }

  /** Unless its connection will be given back. */
  #closeAfter(response: ServerResponse): void {
    if (this.#giveBack !== undefined && this.#connections.get(response.req.socket)?.isOwn === false) return;
    response.shouldKeepAlive = false;
    if (!response.headersSent) response.setHeader('connection', 'close');
  }
}
