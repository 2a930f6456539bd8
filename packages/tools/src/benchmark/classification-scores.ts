import type { BenchmarkReport } from '@selvedge/contract';

export interface ClassificationScores {
  /** accuracy, f1, precision, recall (the last three macro: the mean over the classes). */
  readonly metrics: { accuracy: number; f1: number; precision: number; recall: number };
  readonly perClass: BenchmarkReport['perClass'];
}

/**
 * Scores of a confusion matrix. A ratio without cases (a class that was never predicted) counts as 0; a class that
 * neither occurs nor was predicted is left out of the means.
 *
 * @param confusion - [actual][predicted], one row per label.
 */
export function scoreConfusion(confusion: readonly (readonly number[])[], labels: readonly string[]): ClassificationScores {
  const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  const rows = labels.map((label, i) => {
    const hits = confusion[i]?.[i] ?? 0;
    const support = (confusion[i] ?? []).reduce((sum, count) => sum + count, 0);
    const predicted = confusion.reduce((sum, row) => sum + (row[i] ?? 0), 0);
    const precision = ratio(hits, predicted);
    const recall = ratio(hits, support);
    return { hits, predicted, entry: { label, precision, recall, f1: ratio(2 * precision * recall, precision + recall), support } };
  });
  const counted = rows.filter((row) => row.predicted + row.entry.support > 0);
  const mean = (pick: (row: (typeof rows)[number]) => number) =>
    ratio(
      counted.reduce((sum, row) => sum + pick(row), 0),
      counted.length,
    );
  const total = rows.reduce((sum, row) => sum + row.entry.support, 0);
  return {
    metrics: {
      accuracy: ratio(
        rows.reduce((sum, row) => sum + row.hits, 0),
        total,
      ),
      f1: mean((row) => row.entry.f1),
      precision: mean((row) => row.entry.precision),
      recall: mean((row) => row.entry.recall),
    },
    perClass: rows.map((row) => row.entry),
  };
}

/** The value below which the given share of the values lies (nearest rank); 0 for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
