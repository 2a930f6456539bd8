type Metrics = Readonly<Record<string, number>>;

/** Whether a value is better than the best one by more than `minDelta`; a loss is better when it is smaller. */
export function isBetterValue(metric: string, value: number, best: number | undefined, minDelta = 0): boolean {
  if (best === undefined) return true;
  return metric === 'loss' ? value < best - minDelta : value > best + minDelta;
}

/** Whether an epoch is better than the best one by a metric of the validation data; of equals the one with the smaller loss is. */
export function isBetterEpoch(metric: string, metrics: Metrics, best: Metrics | undefined): boolean {
  const [value, bestValue] = [metrics[`validation/${metric}`], best?.[`validation/${metric}`]];
  if (value === undefined || bestValue === undefined) return true;
  if (value !== bestValue) return isBetterValue(metric, value, bestValue);
  const lossOf = (of: Metrics | undefined) => of?.['validation/loss'] ?? of?.['train/loss'] ?? 0;
  return lossOf(metrics) < lossOf(best);
}
