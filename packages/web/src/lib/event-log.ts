import type { ServerEvent } from '@selvedge/contract';

/**
 * The last events, numbered, so that a list fetched while events came in can be brought up to date: take a `mark`
 * before the request, and apply `since(mark)` to its answer. Otherwise an answer made before a change but received
 * after its event would undo it.
 */
export class EventLog {
  readonly #limit: number;
  #events: ServerEvent[] = [];
  #first = 0;

  /** @param limit - how many events are kept; older ones are forgotten. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  mark(): number {
    return this.#first + this.#events.length;
  }

  push(events: readonly ServerEvent[]): void {
    this.#events.push(...events);
    const excess = this.#events.length - this.#limit;
    if (excess > 0) {
      this.#events = this.#events.slice(excess);
      this.#first += excess;
    }
  }

  since(mark: number): readonly ServerEvent[] {
    return this.#events.slice(Math.max(0, mark - this.#first));
  }
}
