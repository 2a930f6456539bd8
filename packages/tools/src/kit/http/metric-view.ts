import { AppError, downsample, type MetricPoint, type MetricSeries, type MetricSummary, type MetricView } from '@selvedge/contract';
import * as z from 'zod';

/** Parameters of the views; each obeys those that concern it. */
export const metricQuerySchema = z.object({
  after: z.coerce.number().int().min(0).default(0),
  max: z.coerce.number().int().min(3).max(100_000).optional(),
  best: z.enum(['min', 'max']).optional(),
});
type MetricQuery = z.infer<typeof metricQuerySchema>;

/** Last parts of names (`train/loss`, `latency-ms`) of what is better when it is smaller. */
const SMALLER_IS_BETTER = /(^|[/_-])(loss|error|err|mae|mse|rmse|ece|nll|perplexity|latency|seconds|time|distance)(-?(ms|s|p\d+))?$/;

/**
 * A metric as the API shows it; the views are described in the contract.
 *
 * @throws AppError NOT_FOUND (user) for the views that need a point while there is none.
 */
export async function renderMetric(
  view: MetricView,
  points: readonly MetricPoint[],
  query: MetricQuery,
): Promise<{ type: string; body: string | Buffer }> {
  const json = (value: unknown) => ({ type: 'application/json', body: JSON.stringify(value) });
  const fresh = points.slice(query.after);
  switch (view) {
    case 'points':
      return { type: 'application/jsonl', body: fresh.map((point) => `${JSON.stringify(point)}\n`).join('') };
    case 'latest':
      return json(points.at(-1) ?? null);
    case 'csv':
      return {
        type: 'text/csv; charset=utf-8',
        body: ['step,value,at', ...fresh.map(({ step, value, at }) => `${step},${value},${at}`), ''].join('\n'),
      };
    case 'series':
      return json(seriesOf(points, query.max));
    case 'summary':
      return json(summaryOf(points, query.best));
    case 'tensorboard': {
      // Loaded when it is asked for: an idle tool does not carry the encoder.
      const { scalarFile } = await import('../../tensorboard/scalar-events.ts');
      return { type: 'application/octet-stream', body: scalarFile(points) };
    }
  }
}

function seriesOf(points: readonly MetricPoint[], max: number | undefined): MetricSeries {
  const series = {
    metric: firstOf(points).metric,
    steps: points.map(({ step }) => step),
    values: points.map(({ value }) => value),
    times: points.map(({ at }) => at),
  };
  if (max === undefined || points.length <= max) return series;
  const shown = downsample(series, max).flatMap((index) => points[index] ?? []);
  return {
    metric: series.metric,
    steps: shown.map(({ step }) => step),
    values: shown.map(({ value }) => value),
    times: shown.map(({ at }) => at),
  };
}

function summaryOf(points: readonly MetricPoint[], direction: 'min' | 'max' | undefined): MetricSummary {
  const first = firstOf(points);
  const stepValue = ({ step, value }: MetricPoint) => ({ step, value });
  const smallest = stepValue(points.reduce((best, point) => (point.value < best.value ? point : best), first));
  const largest = stepValue(points.reduce((best, point) => (point.value > best.value ? point : best), first));
  const is = direction ?? (SMALLER_IS_BETTER.test(first.metric) ? 'min' : 'max');
  return {
    metric: first.metric,
    count: points.length,
    min: smallest,
    max: largest,
    mean: points.reduce((sum, { value }) => sum + value / points.length, 0),
    last: stepValue(points.at(-1) ?? first),
    best: { ...(is === 'min' ? smallest : largest), is },
  };
}

function firstOf(points: readonly MetricPoint[]): MetricPoint {
  const [first] = points;
  if (first === undefined) throw new AppError('NOT_FOUND', { message: 'The metric has no points yet.' });
  return first;
}
