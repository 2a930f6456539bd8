import type { MetricPoint } from '@selvedge/contract';

export const METRIC_VIEWS = ['points', 'latest', 'csv'] as const;
export type MetricView = (typeof METRIC_VIEWS)[number];

/** A metric as the API shows it: `points` JSON lines, `latest` one JSON object, `csv` with a header line. */
export function renderMetric(view: MetricView, points: readonly MetricPoint[]): { type: string; body: string } {
  switch (view) {
    case 'points':
      return { type: 'application/jsonl', body: points.map((point) => `${JSON.stringify(point)}\n`).join('') };
    case 'latest':
      return { type: 'application/json', body: JSON.stringify(points.at(-1) ?? null) };
    case 'csv':
      return {
        type: 'text/csv; charset=utf-8',
        body: ['step,value,at', ...points.map(({ step, value, at }) => `${step},${value},${at}`), ''].join('\n'),
      };
  }
}
