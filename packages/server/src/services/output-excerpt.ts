/**
 * The first and the last part of what a command wrote, within a bound. What is between is counted, not kept.
 */
export class OutputExcerpt {
  readonly #halfBytes: number;
  #head = new Uint8Array(0);
  #tail = new Uint8Array(0);
  #leftOut = 0;

  /** @param maxCharacters - of the text. */
  constructor(maxCharacters: number) {
    // Room for the line that says how much is missing.
    this.#halfBytes = Math.max(0, Math.floor((maxCharacters - 64) / 2));
  }

  add(bytes: Uint8Array): void {
    const toHead = bytes.subarray(0, this.#halfBytes - this.#head.length);
    if (toHead.length > 0) this.#head = joined(this.#head, toHead);
    const rest = bytes.subarray(toHead.length);
    if (rest.length === 0) return;
    const tail = joined(this.#tail, rest);
    const surplus = Math.max(0, tail.length - this.#halfBytes);
    this.#leftOut += surplus;
    this.#tail = tail.slice(surplus);
  }

  text(): string {
    const decoder = new TextDecoder();
    if (this.#leftOut === 0) return decoder.decode(joined(this.#head, this.#tail));
    return `${decoder.decode(this.#head)}\n[${this.#leftOut} bytes left out]\n${decoder.decode(this.#tail)}`;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(a.length + b.length);
  made.set(a);
  made.set(b, a.length);
  return made;
}
