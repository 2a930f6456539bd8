import type { ServerResponse } from 'node:http';
import type { ServerEvent } from '@selvedge/contract';
import type { FastifyReply } from 'fastify';
import type { EventHub } from '../services/event-hub.ts';

const HEARTBEAT_MS = 15_000;
/** What a client may be behind; a slower one is dropped and has to connect and read everything anew. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

interface Client {
  response: ServerResponse;
  /** Kinds of resources, and `metric` and `module`; undefined: all. */
  kinds: ReadonlySet<string> | undefined;
}

const topicOf = (event: ServerEvent): string => (event.type === 'resource' ? event.resource.kind : event.type);

/** Server-sent events to any number of clients, each with a bounded buffer. An event is written as text once for all. */
export class EventStream {
  readonly #hub: EventHub;
  readonly #clients = new Set<Client>();
  #unsubscribe: (() => void) | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(hub: EventHub) {
    this.#hub = hub;
  }

  get size(): number {
    return this.#clients.size;
  }

  start(): void {
    this.#unsubscribe = this.#hub.subscribe((event) => this.#send(event));
    this.#heartbeat = setInterval(() => this.#write(': keep-alive\n\n', undefined), HEARTBEAT_MS).unref();
  }

  /** Ends every stream. */
  stop(): void {
    this.#unsubscribe?.();
    clearInterval(this.#heartbeat);
    for (const { response } of this.#clients) response.end();
    this.#clients.clear();
  }

  /** Takes the connection over; the reply must not be used any more. */
  attach(reply: FastifyReply, kinds: string | undefined): FastifyReply {
    reply.hijack();
    const response = reply.raw;
    const wanted = kinds === undefined ? undefined : new Set(kinds.split(',').map((kind) => kind.trim()));
    const client = { response, kinds: wanted };
    response.on('close', () => this.#clients.delete(client));
    response.on('error', () => this.#clients.delete(client)); // the client has gone; "close" follows
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    });
    response.write('retry: 2000\n: connected\n\n');
    this.#clients.add(client);
    return reply;
  }

  #send(event: ServerEvent): void {
    if (this.#clients.size === 0) return;
    this.#write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`, topicOf(event));
  }

  #write(text: string, topic: string | undefined): void {
    for (const client of this.#clients) {
      if (topic !== undefined && client.kinds !== undefined && !client.kinds.has(topic)) continue;
      if (client.response.writableLength > MAX_BUFFERED_BYTES) {
        this.#clients.delete(client);
        client.response.destroy();
      } else {
        client.response.write(text);
      }
    }
  }
}
