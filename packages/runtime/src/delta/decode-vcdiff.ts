import { AppError } from '@selvedge/contract';
import { AddressCache, defaultCodeTable, type Instruction, NEAR_SLOTS, SOURCE_FLAG, VCDIFF_MAGIC } from './code-table.ts';

/** Fills `into` with bytes of the base from a position on. @returns how many; fewer than it has room for only where the base ends. */
export type ReadBase = (at: number, into: Uint8Array) => number;

/** Most that a window may give, or take: what is held of a difference at a time is twice this. xdelta3 writes 8 MiB. */
const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
const MAX_INTEGER_BYTES = 7;

export function patchDamaged(found: string): AppError {
  return new AppError('DIGEST_MISMATCH', { message: `The patch is damaged: ${found}.` });
}

/**
 * What a base becomes by a VCDIFF difference (RFC 3284, default code table, no secondary compression), window by window. A window holds
 * until the next one is asked for: they share their memory, which a device has little of.
 *
 * @throws AppError DIGEST_MISMATCH (operational) when it is not one, or asks for more than the base has.
 */
export async function* decodeVcdiff(difference: AsyncIterable<Uint8Array>, readBase: ReadBase): AsyncGenerator<Uint8Array> {
  const table = defaultCodeTable();
  const [bodies, targets] = [new Scratch(), new Scratch()];
  const input = new Input(difference);
  const head = await input.take(VCDIFF_MAGIC.length + 1);
  if (VCDIFF_MAGIC.some((byte, index) => head[index] !== byte)) throw patchDamaged('it is no VCDIFF');
  if (head[VCDIFF_MAGIC.length] !== 0) throw patchDamaged('it uses what VCDIFF leaves to agreement');
  while (!(await input.isAtEnd())) yield decodeWindow(await readWindow(input, bodies), { table, readBase, targets });
}

interface Window {
  source: { start: number; length: number };
  body: Uint8Array;
}

async function readWindow(input: Input, bodies: Scratch): Promise<Window> {
  const flags = (await input.take(1))[0] ?? 0;
  if (flags !== 0 && flags !== SOURCE_FLAG) throw patchDamaged('a window has a source of another kind');
  const length = flags === 0 ? 0 : await input.integer();
  const start = flags === 0 ? 0 : await input.integer();
  const size = await input.integer();
  if (size > 2 * MAX_WINDOW_BYTES) throw patchDamaged(`a window takes ${size} bytes`);
  return { source: { start, length }, body: await input.take(size, bodies.take(size)) };
}

interface Decoding {
  table: readonly Instruction[][];
  readBase: ReadBase;
  targets: Scratch;
}

function decodeWindow({ source, body }: Window, { table, readBase, targets }: Decoding): Uint8Array {
  const head = new Section(body);
  const size = head.integer();
  if (size > MAX_WINDOW_BYTES) throw patchDamaged(`a window gives ${size} bytes`);
  if (head.byte() !== 0) throw patchDamaged('a section is compressed');
  const sizes = [head.integer(), head.integer(), head.integer()];
  const [data, codes, addresses] = sizes.map((length) => new Section(head.slice(length)));
  if (data === undefined || codes === undefined || addresses === undefined) throw patchDamaged('a section is missing');
  const target = new Target(targets.take(size), source, readBase);
  const cache = new AddressCache();
  while (!codes.isAtEnd) {
    for (const { kind, size: coded, mode } of table[codes.byte()] ?? []) {
      const length = coded === 0 ? codes.integer() : coded;
      if (kind === 'add') target.append(data.slice(length));
      else if (kind === 'run') target.fill(data.byte(), length);
      else target.copy(readAddress(addresses, cache, mode, source.length + target.length), length);
    }
  }
  return target.whole();
}

function readAddress(addresses: Section, cache: AddressCache, mode: number, here: number): number {
  let address: number;
  if (mode === 0) address = addresses.integer();
  else if (mode === 1) address = here - addresses.integer();
  else if (mode < 2 + NEAR_SLOTS) address = (cache.near[mode - 2] ?? 0) + addresses.integer();
  else address = cache.same(mode, addresses.byte());
  if (address < 0 || address >= here) throw patchDamaged('an address is out of range');
  cache.add(address);
  return address;
}

/** Memory that is used again and again. */
class Scratch {
  #bytes = new Uint8Array(0);

  /** What was taken before is overwritten. */
  take(size: number): Uint8Array {
    if (this.#bytes.length < size) this.#bytes = new Uint8Array(size);
    return this.#bytes.subarray(0, size);
  }
}

/** The window that grows. */
class Target {
  readonly #bytes: Uint8Array;
  readonly #source: Window['source'];
  readonly #readBase: ReadBase;
  length = 0;

  constructor(bytes: Uint8Array, source: Window['source'], readBase: ReadBase) {
    this.#bytes = bytes;
    this.#source = source;
    this.#readBase = readBase;
  }

  append(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  fill(byte: number, length: number): void {
    this.#room(length);
    this.#bytes.fill(byte, this.length, this.length + length);
    this.length += length;
  }

  /** @param address - in the source segment, and after it in what the window has so far, also over both. */
  copy(address: number, length: number): void {
    this.#room(length);
    const inSource = Math.min(length, Math.max(0, this.#source.length - address));
    if (inSource > 0) {
      const part = this.#bytes.subarray(this.length, this.length + inSource);
      if (this.#readBase(this.#source.start + address, part) !== inSource) throw patchDamaged('it was made for a longer base');
      this.length += inSource;
    }
    // byte by byte, because it may repeat what it has just written
    let from = address + inSource - this.#source.length;
    for (let left = length - inSource; left > 0; left -= 1) {
      this.#bytes[this.length] = this.#bytes[from] ?? 0;
      this.length += 1;
      from += 1;
    }
  }

  whole(): Uint8Array {
    if (this.length !== this.#bytes.length) throw patchDamaged('a window is too short');
    return this.#bytes;
  }

  #room(more: number): void {
    if (this.length + more > this.#bytes.length) throw patchDamaged('a window is too long');
  }
}

/** A part of a window that is read from its begin. */
class Section {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw patchDamaged('a section is too short');
    this.#at += 1;
    return value;
  }

  integer(): number {
    let value = 0;
    for (let count = 0; count < MAX_INTEGER_BYTES; count += 1) {
      const byte = this.byte();
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
    throw patchDamaged('an integer is too large');
  }

  slice(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw patchDamaged('a section is too short');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

/** A stream of bytes of which as many are taken as are needed. */
class Input {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return true;
      this.#rest = value;
    }
    return false;
  }

  async take(length: number, taken: Uint8Array = new Uint8Array(length)): Promise<Uint8Array> {
    let filled = 0;
    while (filled < length) {
      if (await this.isAtEnd()) throw patchDamaged('it ends too early');
      const part = this.#rest.subarray(0, length - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return taken;
  }

  async integer(): Promise<number> {
    let value = 0;
    for (let count = 0; count < MAX_INTEGER_BYTES; count += 1) {
      const byte = (await this.take(1))[0] ?? 0;
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
    throw patchDamaged('an integer is too large');
  }
}
