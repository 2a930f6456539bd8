import { type DatasetFile, datasetFileSchema } from '@selvedge/contract';

/** A manifest up to this size is read whole; of a larger one, this many pieces from places all over it. */
const WHOLE_BYTES = 256 * 1024;
const PIECES = 8;
const PIECE_BYTES = 32 * 1024;

/** Address of a file in the data of the import tool's artifact. */
export function datasetFileUrl(artifact: string, path: string): string {
  const segments = path.split('/').map(encodeURIComponent).join('/');
  return `/containers/import/artifacts/${encodeURIComponent(artifact)}/data/${segments}`;
}

/** `count` of the items, as far apart as they can be. */
export function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)]).filter(
    (item) => item !== undefined,
  );
}

/** The samples in a piece of a manifest; lines that are cut off at either end are left out. */
export function parseManifestPiece(text: string, piece: { isStart: boolean; isEnd: boolean }): DatasetFile[] {
  const lines = text.split('\n');
  if (!piece.isStart) lines.shift();
  if (!piece.isEnd) lines.pop();
  return lines.filter((line) => line.trim() !== '').map((line) => datasetFileSchema.parse(JSON.parse(line)));
}

/**
 * Some samples of a dataset version from all over its manifest, which is sorted by path; however large it is, at most half
 * a megabyte is read.
 *
 * @throws Error when the tool does not answer, or with something else than a manifest.
 */
export async function readDatasetSamples(artifact: string, count: number, signal: AbortSignal): Promise<DatasetFile[]> {
  const url = datasetFileUrl(artifact, 'manifest.jsonl');
  const first = await readRange(url, 0, WHOLE_BYTES, signal);
  const { total } = first;
  if (total <= WHOLE_BYTES) return spread(parseManifestPiece(first.text, { isStart: true, isEnd: true }), count);
  const starts = Array.from({ length: PIECES }, (_, index) => Math.floor((index * (total - PIECE_BYTES)) / (PIECES - 1)));
  const pieces = await Promise.all(
    starts.map(async (start) => {
      const { text } = await readRange(url, start, PIECE_BYTES, signal);
      return spread(parseManifestPiece(text, { isStart: start === 0, isEnd: start + PIECE_BYTES >= total }), Math.ceil(count / PIECES));
    }),
  );
  return spread(pieces.flat(), count);
}

async function readRange(url: string, start: number, length: number, signal: AbortSignal): Promise<{ text: string; total: number }> {
  const response = await fetch(url, { headers: { range: `bytes=${start}-${start + length - 1}` }, credentials: 'same-origin', signal });
  if (!response.ok) throw new Error(`The import tool answered with ${response.status}.`);
  const text = await response.text();
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  return { text, total: total === undefined ? text.length : Number(total) };
}
