import { describe, expect, it } from 'vitest';
import { datasetFileUrl, parseManifestPiece, spread } from './dataset-samples.ts';

const line = (path: string) => JSON.stringify({ path, sha256: 'a'.repeat(64), sizeBytes: 10, split: 'train', label: 0 });

describe('samples of a dataset', () => {
  it('are taken from all over', () => {
    expect(spread([1, 2, 3], 5)).toEqual([1, 2, 3]);
    expect(
      spread(
        Array.from({ length: 100 }, (_, i) => i),
        4,
      ),
    ).toEqual([12, 37, 62, 87]);
  });

  it('are the whole lines of a piece', () => {
    const text = ['a', 'b', 'c'].map(line).join('\n');
    expect(parseManifestPiece(`${text}\n`, { isStart: true, isEnd: true }).map(({ path }) => path)).toEqual(['a', 'b', 'c']);
    expect(parseManifestPiece(text.slice(5, -5), { isStart: false, isEnd: false }).map(({ path }) => path)).toEqual(['b']);
  });

  it('have addresses whatever is in their names', () => {
    expect(datasetFileUrl('digits-v1', 'files/a b/50%?.png')).toBe('/containers/import/artifacts/digits-v1/data/files/a%20b/50%25%3F.png');
  });
});
