import type { SplitReader } from './tensor-set-reader.ts';
import type { AddSamples, SampleExtras } from './tensor-set-writer.ts';

/** Rows that are read at once, in values: 4 MB. */
const CHUNK_VALUES = 1024 * 1024;

/** What a split has beside its tensors, chosen by row. */
export interface Extras {
  rows(from: number, count: number): SampleExtras;
}

/** Reads the boxes and groups of a split; they are small beside the tensors and are held in memory. */
export async function readExtras(reader: SplitReader): Promise<Extras> {
  const boxes = reader.hasBoxes ? await reader.readBoxes() : undefined;
  const groups = await reader.readGroups();
  return {
    rows: (from, count) => ({
      boxes: boxes && concat(boxes.slice(from, from + count)),
      groups: groups?.slice(from, from + count),
    }),
  };
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/**
 * Copies rows of a split with all that belongs to them.
 *
 * @param rows - ascending; neighbours are read at once.
 */
export async function copyRows(reader: SplitReader, rows: ArrayLike<number>, add: AddSamples, signal: AbortSignal): Promise<void> {
  const extras = await readExtras(reader);
  const chunkRows = Math.max(1, Math.floor(CHUNK_VALUES / Math.max(1, reader.x.rowLength)));
  for (let at = 0; at < rows.length; ) {
    signal.throwIfAborted();
    const first = rows[at] ?? 0;
    let length = 1;
    while (length < chunkRows && rows[at + length] === first + length) length += 1;
    await add(await reader.x.readRows(first, length), await reader.y.readRows(first, length), extras.rows(first, length));
    at += length;
  }
}
