import type { DatasetContent } from '@selvedge/contract';

/** Samples of all splits. */
export function samplesOf(content: DatasetContent | null): number | null {
  return content === null ? null : Object.values(content.splits).reduce((sum, count) => sum + count, 0);
}

/** `train 3,000, test 600`. */
export function splitsText(content: DatasetContent | null): string {
  const splits = Object.entries(content?.splits ?? {}).map(([split, count]) => `${split} ${count.toLocaleString('en')}`);
  return splits.join(', ') || '–';
}
