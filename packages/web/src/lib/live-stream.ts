import { type ServerEvent, serverEventSchema } from '@selvedge/contract';

export type LiveState = 'connecting' | 'live' | 'reconnecting';

export interface LiveStreamOptions {
  url: string;
  /** Called with the events of one short interval together, in order. */
  onEvents: (events: readonly ServerEvent[]) => void;
  /** Called whenever the stream is open again: what was missed must be fetched. */
  onOpen: () => void;
  /** Called when the server refuses the stream (the browser does not say why: signed out, or an error). */
  onRefused: () => void;
  /** Milliseconds that events are gathered; default 100. */
  gatherMs?: number;
}

const EVENT_TYPES = ['resource', 'metric', 'module'] as const satisfies readonly ServerEvent['type'][];
const RETRY_MS = 3000;

/**
 * The one connection on which the server tells every change. The browser reconnects by itself after a break; after a
 * refusal it gives up, so this class asks again. Events are gathered for a moment: a fleet that reports at once
 * makes one change of the page, not a thousand.
 */
export class LiveStream {
  readonly #options: LiveStreamOptions;
  readonly #listeners = new Set<() => void>();
  #state: LiveState = 'connecting';
  #source: EventSource | undefined;
  #gathered: ServerEvent[] = [];
  #timer: number | undefined;
  #retry: number | undefined;

  constructor(options: LiveStreamOptions) {
    this.#options = options;
  }

  get state(): LiveState {
    return this.#state;
  }

  /** For useSyncExternalStore. */
  readonly subscribe = (changed: () => void): (() => void) => {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  };

  start(): void {
    if (this.#source !== undefined) return;
    const source = new EventSource(this.#options.url);
    this.#source = source;
    source.onopen = () => {
      this.#setState('live');
      this.#options.onOpen();
    };
    source.onerror = () => {
      this.#setState('reconnecting');
      if (source.readyState === EventSource.CLOSED) this.#askAgainLater();
    };
    for (const type of EVENT_TYPES) source.addEventListener(type, (event) => this.#take(event.data));
  }

  stop(): void {
    this.#source?.close();
    this.#source = undefined;
    window.clearTimeout(this.#timer);
    window.clearTimeout(this.#retry);
    this.#timer = undefined;
    this.#gathered = [];
    this.#setState('connecting');
  }

  #askAgainLater(): void {
    this.#source?.close();
    this.#source = undefined;
    this.#options.onRefused();
    window.clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.start(), RETRY_MS);
  }

  #take(data: unknown): void {
    const event = parseEvent(data);
    if (event === undefined) {
      console.warn('An event of the server is not in a form that this page knows; is the page older than the server?');
      return;
    }
    this.#gathered.push(event);
    this.#timer ??= window.setTimeout(() => this.#flush(), this.#options.gatherMs ?? 100);
  }

  #flush(): void {
    this.#timer = undefined;
    const events = this.#gathered;
    this.#gathered = [];
    this.#options.onEvents(events);
  }

  #setState(state: LiveState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const changed of this.#listeners) changed();
  }
}

function parseEvent(data: unknown): ServerEvent | undefined {
  try {
    return serverEventSchema.safeParse(JSON.parse(String(data))).data;
  } catch {
    return undefined; // not JSON; the caller says so
  }
}
