/**
 * What VCDIFF's instructions are made of.
 *
 * @see https://www.rfc-editor.org/rfc/rfc3284
 */
export const VCDIFF_MAGIC = Uint8Array.of(0xd6, 0xc3, 0xc4, 0x00);
export const SOURCE_FLAG = 0b1;
export const NEAR_SLOTS = 4;
/** Addresses less than where the target stands, and the first of those relative to one of late. */
export const HERE_MODE = 1;
export const FIRST_NEAR_MODE = 2;
const SAME_SLOTS = 3;
const ADDRESS_MODES = 2 + NEAR_SLOTS + SAME_SLOTS;
/** Codes of the default table: ADD, and the first COPY of each mode, with a size that follows. */
export const ADD_CODE = 1;
export const LARGEST_CODED_ADD = 17;
export const FIRST_COPY_CODE = 19;
export const COPY_CODES_PER_MODE = 16;
export const SMALLEST_CODED_COPY = 4;
export const LARGEST_CODED_COPY = 18;

export interface Instruction {
  kind: 'add' | 'run' | 'copy';
  /** 0: it follows as an integer. */
  size: number;
  /** Of the address; 0 for all but copies. */
  mode: number;
}

/** The default code table (section 5.6): one or two instructions for each byte. */
export function defaultCodeTable(): Instruction[][] {
  const add = (size: number): Instruction => ({ kind: 'add', size, mode: 0 });
  const copy = (size: number, mode: number): Instruction => ({ kind: 'copy', size, mode });
  const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);
  const modes = upTo(ADDRESS_MODES);
  return [
    [{ kind: 'run', size: 0, mode: 0 }],
    ...upTo(LARGEST_CODED_ADD + 1).map((size) => [add(size)]),
    ...modes.flatMap((mode) => [0, ...upTo(15, 4)].map((size) => [copy(size, mode)])),
    ...modes.slice(0, 6).flatMap((mode) => upTo(4, 1).flatMap((size) => upTo(3, 4).map((length) => [add(size), copy(length, mode)]))),
    ...modes.slice(6).flatMap((mode) => upTo(4, 1).map((size) => [add(size), copy(4, mode)])),
    ...modes.map((mode) => [copy(4, mode), add(1)]),
  ];
}

/** The addresses of late, to which others are relative (section 5.1); both sides keep it in step. It is new for each window. */
export class AddressCache {
  readonly near: number[] = new Array<number>(NEAR_SLOTS).fill(0);
  readonly #same = new Array<number>(SAME_SLOTS * 256).fill(0);
  #slot = 0;

  /** @param byte - what the address is coded as in the modes of `same`. */
  same(mode: number, byte: number): number {
    return this.#same[(mode - 2 - NEAR_SLOTS) * 256 + byte] ?? 0;
  }

  add(address: number): void {
    this.near[this.#slot] = address;
    this.#slot = (this.#slot + 1) % NEAR_SLOTS;
    this.#same[address % this.#same.length] = address;
  }
}

/** A growing run of bytes. */
export class ByteSink {
  #bytes = new Uint8Array(4096);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  /** An integer as section 2 writes it: groups of seven bits, the highest first. */
  integer(value: number): void {
    const size = integerSize(value);
    for (let left = size - 1; left >= 0; left -= 1) this.byte((Math.floor(value / 128 ** left) % 128) | (left === 0 ? 0 : 128));
  }

  append(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    larger.set(this.bytes);
    this.#bytes = larger;
  }
}

/** Bytes that {@link ByteSink.integer} takes for a value. */
export function integerSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}
