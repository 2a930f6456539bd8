/** Bytes of a block: what is shorter and shared is found only beside a longer match. */
export const BLOCK_BYTES = 32;
const MULTIPLIER = 0x01000193;
const SPREAD = 0x9e3779b1;

function powerOf(exponent: number): number {
  let power = 1;
  for (let count = 0; count < exponent; count += 1) power = Math.imul(power, MULTIPLIER);
  return power;
}

const LEAVING = powerOf(BLOCK_BYTES);

function hashAt(bytes: Uint8Array, at: number): number {
  let hash = 0;
  for (let index = at; index < at + BLOCK_BYTES; index += 1) hash = (Math.imul(hash, MULTIPLIER) + (bytes[index] ?? 0)) | 0;
  return hash;
}

/** Where the blocks of some bytes are, by their content: about 8 bytes of memory for each block of 32. */
export class BlockIndex {
  readonly #shift: number;
  /** Number of the first block with a hash, plus one. */
  readonly #slots: Int32Array;

  constructor(bytes: Uint8Array) {
    const blocks = Math.floor(bytes.length / BLOCK_BYTES);
    const bits = Math.max(8, Math.ceil(Math.log2(blocks + 1)) + 1);
    this.#shift = 32 - bits;
    this.#slots = new Int32Array(2 ** bits);
    for (let block = 0; block < blocks; block += 1) {
      const slot = this.#slot(hashAt(bytes, block * BLOCK_BYTES));
      if (this.#slots[slot] === 0) this.#slots[slot] = block + 1;
    }
  }

  /** Position of a block that may have this hash; -1: none has. */
  find(hash: number): number {
    return ((this.#slots[this.#slot(hash)] ?? 0) - 1) * BLOCK_BYTES;
  }

  #slot(hash: number): number {
    return Math.imul(hash, SPREAD) >>> this.#shift;
  }
}

/** The hash of the block at a position that moves on byte by byte. */
export class RollingHash {
  readonly #bytes: Uint8Array;
  #at = 0;
  #hash = 0;
  #isKnown = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** @param at - with a whole block after it. */
  at(at: number): number {
    if (this.#isKnown && at === this.#at + 1) {
      const entering = this.#bytes[at + BLOCK_BYTES - 1] ?? 0;
      const leaving = Math.imul(this.#bytes[this.#at] ?? 0, LEAVING);
      this.#hash = (Math.imul(this.#hash, MULTIPLIER) + entering - leaving) | 0;
    } else if (!this.#isKnown || at !== this.#at) this.#hash = hashAt(this.#bytes, at);
    this.#isKnown = true;
    this.#at = at;
    return this.#hash;
  }
}
