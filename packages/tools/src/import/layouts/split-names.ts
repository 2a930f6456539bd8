import type { SourceSample } from '../source-sample.ts';

const SPLIT_WORDS: readonly { split: string; words: RegExp }[] = [
  { split: 'train', words: /(^|[^a-z])(train|training|trainval)([^a-z]|$)/i },
  { split: 'validation', words: /(^|[^a-z])(val|valid|validation|dev)([^a-z]|$)/i },
  { split: 'test', words: /(^|[^a-z])(test|testing|t10k)([^a-z]|$)/i },
];

/** The split that a file's or folder's name speaks of: `train2017`, `instances_val.json`, `x_test`; undefined when none. */
export function splitInName(name: string): string | undefined {
  return SPLIT_WORDS.find(({ words }) => words.test(name))?.split;
}

/** The nearest part of a path that speaks of a split. */
export function splitInPath(path: string): string | undefined {
  for (const part of path.split('/').reverse()) {
    const split = splitInName(part);
    if (split !== undefined) return split;
  }
  return undefined;
}

/** One split for all says nothing about what tests: it is left to the hold-out then. */
export function dropSingleSplit(samples: readonly SourceSample[]): SourceSample[] {
  const splits = new Set(samples.map((sample) => sample.split));
  return splits.size > 1 ? [...samples] : samples.map((sample) => ({ ...sample, split: undefined }));
}
