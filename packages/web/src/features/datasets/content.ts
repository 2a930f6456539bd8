import type { DatasetContent, DatasetVersion } from '@selvedge/contract';

/** Samples of all splits. */
export function samplesOf(content: DatasetContent | null): number | null {
  return content === null ? null : Object.values(content.splits).reduce((sum, count) => sum + count, 0);
}

/** `train 3,000, test 600`. */
export function splitsText(content: DatasetContent | null): string {
  const splits = Object.entries(content?.splits ?? {}).map(([split, count]) => `${split} ${count.toLocaleString('en')}`);
  return splits.join(', ') || '–';
}

export function sourceText({ spec: { dataset, source } }: DatasetVersion): string {
  switch (source.type) {
    case 'upload':
      return source.fileName;
    case 'url':
      return source.url;
    case 's3':
      return `s3://${source.bucket}/${source.key}`;
    case 'artifact':
      return `artifact ${source.artifact} of ${source.tool}`;
    case 'split':
      return `${dataset}@${source.version}, split anew (seed ${source.resplit.seed})`;
  }
}
