import { MAX_OUTPUT_CHUNK_BYTES } from '@selvedge/contract';

type Source = 'stdout' | 'stderr' | 'pty';
export interface BufferedChunk {
  readonly sequence: number;
  readonly source: Source;
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
}
interface OpenChunk {
  sequence: number;
  source: Source;
  parts: Uint8Array[];
  sizeBytes: number;
}

/**
 * What a program wrote and the server has not got yet, in numbered chunks.
 *
 * Invariants: numbers grow by one; a chunk that was given out never changes; what was asked for beyond is forgotten.
 */
export class OutputBuffer {
  #chunks: OpenChunk[] = [];
  #last = 0;
  /** Highest number that was given out. */
  #given = 0;
  #unreadBytes = 0;
  #totalBytes = 0;

  get unreadBytes(): number {
    return this.#unreadBytes;
  }
  get totalBytes(): number {
    return this.#totalBytes;
  }
  get lastSequence(): number {
    return this.#last;
  }

  append(source: Source, bytes: Uint8Array): void {
    this.#totalBytes += bytes.length;
    this.#unreadBytes += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const chunk = this.#chunkFor(source);
      const part = bytes.subarray(at, at + MAX_OUTPUT_CHUNK_BYTES - chunk.sizeBytes);
      chunk.parts.push(part);
      chunk.sizeBytes += part.length;
      at += part.length;
    }
  }

  /** The chunks behind `after`, at least one if there is any, else as many as fit; forgets those up to it. */
  read(after: number, maxBytes: number): BufferedChunk[] {
    while (this.#chunks[0] !== undefined && this.#chunks[0].sequence <= after) this.#unreadBytes -= this.#chunks.shift()?.sizeBytes ?? 0;
    const found: BufferedChunk[] = [];
    let size = 0;
    for (const chunk of this.#chunks) {
      if (found.length > 0 && size + chunk.sizeBytes > maxBytes) break;
      found.push(chunk);
      size += chunk.sizeBytes;
      this.#given = Math.max(this.#given, chunk.sequence);
    }
    return found;
  }

  /** The last chunk while nobody has it and it has room, else a new one: many small writes do not make many chunks. */
  #chunkFor(source: Source): OpenChunk {
    const open = this.#chunks.at(-1);
    if (open !== undefined && open.source === source && open.sequence > this.#given && open.sizeBytes < MAX_OUTPUT_CHUNK_BYTES) return open;
    this.#last += 1;
    const made: OpenChunk = { sequence: this.#last, source, parts: [], sizeBytes: 0 };
    this.#chunks.push(made);
    return made;
  }
}
