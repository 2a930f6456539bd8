/**
 * A first-in, first-out queue with the part of Array's interface that mqemitter uses for its backlog. Array's `shift`
 * moves every element, which made the broker collapse under load; here both ends cost the same whatever the length.
 */
export class RingQueue<T> {
  #slots: (T | undefined)[] = new Array(64);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): number {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) % this.#slots.length] = item;
    this.#length += 1;
    return this.#length;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#slots.length;
    this.#length -= 1;
    return item;
  }

  #grow(): void {
    const slots: (T | undefined)[] = new Array(this.#slots.length * 2);
    for (let index = 0; index < this.#length; index += 1) slots[index] = this.#slots[(this.#head + index) % this.#slots.length];
    this.#slots = slots;
    this.#head = 0;
  }
}
