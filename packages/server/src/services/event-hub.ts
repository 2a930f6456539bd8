import type { ServerEvent } from '@selvedge/contract';

export type EventListener = (event: ServerEvent) => void;

/**
 * Announces what has happened, to whoever looks on (the event stream, controllers that want to act sooner than their next
 * round). Nothing may depend on an event alone: listeners that act also look at the store.
 */
export class EventHub {
  readonly #listeners = new Set<EventListener>();

  publish(event: ServerEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** @returns a function that ends the subscription. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
