import { EventEmitter } from 'node:events';
import { Mismatch } from '@selvedge/runtime/mismatch';
import type { Packet } from 'mqtt-packet';

/** A request as it came in, with its body. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** What the device did, in the order in which the server saw it. `connection` counts TCP connections. */
export type Seen = { readonly connection: number; readonly atMs: number } & (
  | { readonly kind: 'tcp' }
  /** `certificate`: sha256 of the one that the device showed. */
  | { readonly kind: 'tls'; readonly protocol: string; readonly certificate: string | undefined }
  | { readonly kind: 'data' }
  | { readonly kind: 'http'; readonly request: SeenRequest }
  | { readonly kind: 'mqtt'; readonly packet: Packet }
  /** The server has sent a message of this topic. */
  | { readonly kind: 'sent'; readonly topic: string; readonly messageId: number }
  | { readonly kind: 'closed' }
);

type WithoutTime<T> = T extends unknown ? Omit<T, 'atMs'> : never;

/** A message of the device, with its payload parsed when it is JSON. */
export interface SeenMessage {
  readonly connection: number;
  readonly topic: string;
  readonly text: string;
  readonly value: unknown;
  readonly qos: number;
  readonly retain: boolean;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The message of an event that is a PUBLISH. */
export function messageOf(event: Seen): SeenMessage | undefined {
  if (event.kind !== 'mqtt' || event.packet.cmd !== 'publish') return undefined;
  const { topic, payload, qos, retain } = event.packet;
  const text = payload.toString();
  return { connection: event.connection, topic, text, value: parsed(text), qos, retain };
}

function told(event: Seen): string {
  if (event.kind === 'http') return `${event.request.method} ${event.request.path}`;
  if (event.kind === 'sent') return `(sent ${event.topic.split('/').at(-1)})`;
  if (event.kind !== 'mqtt') return event.kind;
  const message = messageOf(event);
  if (message === undefined) return event.packet.cmd.toUpperCase();
  return `PUBLISH ${message.topic.split('/').at(-1)} ${message.text.slice(0, 160)}`;
}

/** Everything that was seen of a device, and a way to wait for what is still to come. */
export class SeenLog {
  readonly events: Seen[] = [];
  readonly #more = new EventEmitter().setMaxListeners(100);

  add(event: WithoutTime<Seen>): void {
    this.events.push({ ...event, atMs: performance.now() });
    this.#more.emit('event');
  }

  /** Where the log ends now; what comes later is after this mark. */
  get mark(): number {
    return this.events.length;
  }

  after(mark: number): Seen[] {
    return this.events.slice(mark);
  }

  messagesAfter(mark: number, topic?: string): SeenMessage[] {
    return this.after(mark).flatMap((event) => {
      const message = messageOf(event);
      return message === undefined || (topic !== undefined && !message.topic.endsWith(`/${topic}`)) ? [] : [message];
    });
  }

  /** The last few events after the mark, in words. */
  shownAfter(mark: number): string {
    const lines = this.after(mark).map(told);
    if (lines.length === 0) return 'nothing at all';
    return `${lines.length > 6 ? '…, ' : ''}${lines.slice(-6).join(', ')}`;
  }

  /**
   * The first answer of `find` that is not undefined, asked after each event.
   *
   * @throws Mismatch when there is none in time; it says what was expected and what came instead.
   */
  waitFor<T>(mark: number, expected: string, timeoutMs: number, find: (events: Seen[]) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#more.off('event', look);
      };
      const look = () => {
        const found = find(this.after(mark));
        if (found === undefined) return;
        end();
        resolve(found);
      };
      const timer = setTimeout(() => {
        end();
        reject(new Mismatch(`${expected} within ${Math.round(timeoutMs / 1000)} s`, this.shownAfter(mark)));
      }, timeoutMs);
      this.#more.on('event', look);
      look();
    });
  }
}
