import type { FeatureStatistics } from '@selvedge/graph/onnx';
import { yieldToEvents } from '../kit/index.ts';
import type { SampleSource } from './sample-source.ts';

/** Rows that are read at once. */
const CHUNK = 1024;

/**
 * Mean and standard deviation of each feature over all rows, by Welford's recurrence (Technometrics 4, 1962), which loses no
 * digits where a feature is large and hardly varies. The deviation of a feature that does not vary is 1.
 */
export async function featureStatistics(source: SampleSource, signal: AbortSignal): Promise<FeatureStatistics> {
  const { sampleSize, count } = source;
  const seen = new Float64Array(sampleSize);
  const mean = new Float64Array(sampleSize);
  const squares = new Float64Array(sampleSize);
  const chunk = new Float32Array(Math.min(CHUNK, count) * sampleSize);
  for (let at = 0; at < count; at += CHUNK) {
    await yieldToEvents(signal);
    const rows = Math.min(CHUNK, count - at);
    await source.gather(
      Array.from({ length: rows }, (_, row) => at + row),
      chunk.subarray(0, rows * sampleSize),
    );
    for (let row = 0; row < rows; row += 1) {
      for (let feature = 0; feature < sampleSize; feature += 1) {
        const value = chunk[row * sampleSize + feature] ?? 0;
        // One that is not a number is named when its batch is trained on.
        if (!Number.isFinite(value)) continue;
        seen[feature] = (seen[feature] ?? 0) + 1;
        const before = value - (mean[feature] ?? 0);
        mean[feature] = (mean[feature] ?? 0) + before / (seen[feature] ?? 1);
        squares[feature] = (squares[feature] ?? 0) + before * (value - (mean[feature] ?? 0));
      }
    }
  }
  return {
    mean: Float32Array.from(mean),
    deviation: Float32Array.from(squares, (sum, feature) => Math.sqrt(sum / (seen[feature] ?? 1)) || 1),
  };
}
