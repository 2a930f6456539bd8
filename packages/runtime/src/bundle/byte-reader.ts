/** Reads a stream in pieces of wished sizes, and knows where it is. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes that were given out. */
  get offset(): number {
    return this.#offset;
  }

  /** Exactly so many bytes; fewer when the stream ends before. To be small: they are kept in memory. */
  async read(sizeBytes: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.chunks(sizeBytes)) parts.push(part);
    return Buffer.concat(parts);
  }

  /** The next so many bytes as they come; fewer when the stream ends before. */
  async *chunks(sizeBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    let missing = sizeBytes;
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#source.next();
        if (next.done === true) return;
        this.#rest = next.value;
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      this.#offset += part.length;
      missing -= part.length;
      if (part.length > 0) yield part;
    }
  }

  /** Lets the source go. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
