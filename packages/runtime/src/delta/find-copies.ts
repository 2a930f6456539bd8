import { BLOCK_BYTES, type BlockIndex, RollingHash } from './block-index.ts';

/** A part of a window that is in the base as well. */
export interface Copy {
  /** In the window. */
  at: number;
  /** In the base. */
  from: number;
  length: number;
}

/** Bytes that are looked over for the place where the base goes on in step after a difference. */
const LOOK_AHEAD_BYTES = 32;
/** Shortest copy in step: it costs two bytes that repeat a lot. Of 2, 3, 4 and 8 this gives the smallest patches to int8 weights and to programs. */
const SHORTEST_IN_STEP = 3;
const SHORTEST_FOUND = 24;

/** Finds what a target has in common with its base, window by window. */
export class CopyFinder {
  readonly #base: Uint8Array;
  readonly #index: BlockIndex;
  /** Where the base would go on if the next byte of the target were in step with the last copy. */
  #next = 0;

  constructor(base: Uint8Array, index: BlockIndex) {
    this.#base = base;
    this.#index = index;
  }

  /** In order, without overlap. Windows must come in the target's order. */
  find(window: Uint8Array): Copy[] {
    const copies: Copy[] = [];
    const hash = new RollingHash(window);
    let at = 0;
    /** Before it, everything is copied or given up. */
    let done = 0;
    let lookedUntil = 0;
    while (at < window.length) {
      const inStep = at < lookedUntil ? undefined : this.#inStep(window, at);
      if (at >= lookedUntil) lookedUntil = at + LOOK_AHEAD_BYTES;
      const copy = inStep ?? this.#found(window, at, done, hash);
      if (copy === undefined) {
        at += 1;
        continue;
      }
      copies.push(copy);
      at = copy.at + copy.length;
      this.#next = copy.from + copy.length - at;
      done = at;
      lookedUntil = at;
    }
    this.#next += window.length;
    return copies;
  }

  /** `#next` is the base's position less the window's. */
  #inStep(window: Uint8Array, at: number): Copy | undefined {
    const last = Math.min(at + LOOK_AHEAD_BYTES, window.length);
    for (let start = at; start < last; start += 1) {
      const from = start + this.#next;
      if (from < 0 || from >= this.#base.length) continue;
      const length = this.#same(window, start, from);
      if (length >= SHORTEST_IN_STEP) return { at: start, from, length };
      start += length;
    }
    return undefined;
  }

  #found(window: Uint8Array, at: number, done: number, hash: RollingHash): Copy | undefined {
    if (at + BLOCK_BYTES > window.length) return undefined;
    const from = this.#index.find(hash.at(at));
    if (from < 0) return undefined;
    const length = this.#same(window, at, from);
    if (length < SHORTEST_FOUND) return undefined;
    let before = 0;
    while (at - before > done && from > before && window[at - before - 1] === this.#base[from - before - 1]) before += 1;
    return { at: at - before, from: from - before, length: length + before };
  }

  #same(window: Uint8Array, at: number, from: number): number {
    const most = Math.min(window.length - at, this.#base.length - from);
    let length = 0;
    while (length < most && window[at + length] === this.#base[from + length]) length += 1;
    return length;
  }
}
