/** Accuracy and macro F1 of labelled predictions, both 0..1. F1 of a class without true or predicted samples counts as 0. */
export function score(pairs: readonly { actual: string; predicted: string }[]): { accuracy: number; f1: number } {
  const labels = [...new Set(pairs.map((pair) => pair.actual))];
  const f1s = labels.map((label) => {
    const hit = pairs.filter((pair) => pair.actual === label && pair.predicted === label).length;
    const predicted = pairs.filter((pair) => pair.predicted === label).length;
    const actual = pairs.filter((pair) => pair.actual === label).length;
    return hit === 0 ? 0 : (2 * hit) / (predicted + actual);
  });
  const hits = pairs.filter((pair) => pair.actual === pair.predicted).length;
  const mean = f1s.reduce((sum, value) => sum + value, 0) / Math.max(1, f1s.length);
  return { accuracy: hits / Math.max(1, pairs.length), f1: mean };
}

/** The q-quantile (0..1) by nearest rank; NaN for no values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}
