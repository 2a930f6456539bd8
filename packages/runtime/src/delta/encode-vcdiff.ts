import { BlockIndex } from './block-index.ts';
import {
  ADD_CODE,
  AddressCache,
  ByteSink,
  COPY_CODES_PER_MODE,
  FIRST_COPY_CODE,
  FIRST_NEAR_MODE,
  HERE_MODE,
  integerSize,
  LARGEST_CODED_ADD,
  LARGEST_CODED_COPY,
  NEAR_SLOTS,
  SMALLEST_CODED_COPY,
  SOURCE_FLAG,
  VCDIFF_MAGIC,
} from './code-table.ts';
import { type Copy, CopyFinder } from './find-copies.ts';

/**
 * The difference between a base and a target as VCDIFF (RFC 3284): default code table, no secondary compression, one window
 * for each piece of the target.
 *
 * @param target - in pieces, each of which whoever applies the difference holds in memory.
 */
export async function* encodeVcdiff(base: Uint8Array, target: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const finder = new CopyFinder(base, new BlockIndex(base));
  yield Uint8Array.of(...VCDIFF_MAGIC, 0);
  for await (const window of target) yield encodeWindow(window, finder.find(window));
}

function encodeWindow(window: Uint8Array, copies: readonly Copy[]): Uint8Array {
  const start = copies.reduce((least, { from }) => Math.min(least, from), Number.MAX_SAFE_INTEGER);
  const end = copies.reduce((most, { from, length }) => Math.max(most, from + length), 0);
  const data = new ByteSink();
  const codes = new ByteSink();
  const addresses = new ByteSink();
  const cache = new AddressCache();
  let at = 0;
  let distance = 0;
  const add = (until: number) => {
    const size = until - at;
    if (size === 0) return;
    data.append(window.subarray(at, until));
    codes.byte(size <= LARGEST_CODED_ADD ? ADD_CODE + size : ADD_CODE);
    if (size > LARGEST_CODED_ADD) codes.integer(size);
  };
  for (const copy of copies) {
    add(copy.at);
    const address = copy.from - start;
    const here = end - start + copy.at;
    const mode = here - address === distance ? HERE_MODE : shortestMode(cache, address);
    distance = here - address;
    addresses.integer(mode === HERE_MODE ? distance : address - (mode === 0 ? 0 : (cache.near[mode - FIRST_NEAR_MODE] ?? 0)));
    cache.add(address);
    const isCoded = copy.length >= SMALLEST_CODED_COPY && copy.length <= LARGEST_CODED_COPY;
    codes.byte(FIRST_COPY_CODE + mode * COPY_CODES_PER_MODE + (isCoded ? copy.length - SMALLEST_CODED_COPY + 1 : 0));
    if (!isCoded) codes.integer(copy.length);
    at = copy.at + copy.length;
  }
  add(window.length);
  return frameWindow(window.length, copies.length === 0 ? undefined : { start, length: end - start }, [data, codes, addresses]);
}

/**
 * The mode in which an address takes the fewest bytes. Copies that are in step with the one before do not come here: the same
 * distance again and again is as good as nothing once zstd has been over it.
 */
function shortestMode(cache: AddressCache, address: number): number {
  let mode = 0;
  let value = address;
  for (let slot = 0; slot < NEAR_SLOTS; slot += 1) {
    const ahead = address - (cache.near[slot] ?? 0);
    if (ahead >= 0 && integerSize(ahead) < integerSize(value)) {
      mode = FIRST_NEAR_MODE + slot;
      value = ahead;
    }
  }
  return mode;
}

function frameWindow(size: number, source: { start: number; length: number } | undefined, sections: readonly ByteSink[]): Uint8Array {
  const body = new ByteSink();
  body.integer(size);
  body.byte(0); // no section is compressed by itself
  for (const section of sections) body.integer(section.length);
  for (const section of sections) body.append(section.bytes);
  const framed = new ByteSink();
  framed.byte(source === undefined ? 0 : SOURCE_FLAG);
  if (source !== undefined) {
    framed.integer(source.length);
    framed.integer(source.start);
  }
  framed.integer(body.length);
  framed.append(body.bytes);
  return framed.bytes;
}
