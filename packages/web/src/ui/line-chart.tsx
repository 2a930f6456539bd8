import { lazy, type ReactNode, Suspense, useState } from 'react';
import { alignSeries } from '../lib/metrics.ts';
import { Button } from './button.tsx';
import type { ChartSeries, LineChartProps } from './chart-props.ts';
import { ScrollRegion } from './scroll-region.tsx';
import { Skeleton } from './skeleton.tsx';

const Plot = lazy(() => import('./plot.tsx').then((module) => ({ default: module.Plot })));

/** A chart with its legend, a sentence for screen readers, and the same numbers as a table on request. */
export function LineChart(props: LineChartProps): ReactNode {
  const { title, series, format, height = 180 } = props;
  const [asTable, setAsTable] = useState(false);
  const summary = summarize(series, format);
  return (
    <figure className="min-w-0" aria-label={title}>
      <figcaption className="mb-1 flex items-center justify-between gap-2">
        <span className="text-sm font-medium">{title}</span>
        <Button size="sm" variant="quiet" icon={asTable ? 'run' : 'table'} aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? 'Chart' : 'Table'}
          <span className="sr-only"> of {title}</span>
        </Button>
      </figcaption>
      <p className="sr-only">{summary}</p>
      {asTable ? (
        <ChartTable {...props} />
      ) : (
        <Suspense fallback={<PlotSkeleton height={height} />}>
          <Plot {...props} height={height} />
        </Suspense>
      )}
    </figure>
  );
}

/** As tall as the plot with its legend, so that nothing moves when it comes. */
function PlotSkeleton({ height }: { height: number }): ReactNode {
  return (
    <div style={{ height: height + 26 }}>
      <Skeleton className="h-full w-full" />
    </div>
  );
}

function summarize(series: readonly ChartSeries[], format: (value: number) => string): string {
  return series
    .map(({ name, y }) => {
      const known = y.filter((value) => value !== null);
      const last = known.at(-1);
      if (last === undefined) return `${name}: no data.`;
      return `${name}: ${known.length} points, now ${format(last)}, lowest ${format(Math.min(...known))}, highest ${format(Math.max(...known))}.`;
    })
    .join(' ');
}

function ChartTable({ title, series, format, xKind, xLabel, height = 180 }: LineChartProps): ReactNode {
  const { x, ys } = alignSeries(series);
  const first = Math.max(0, x.length - 200);
  const writeX = (value: number) => (xKind === 'time' ? new Date(value * 1000).toLocaleTimeString('en-GB') : String(value));
  return (
    <ScrollRegion label={`${title}, as a table`} className="overflow-auto rounded-md border border-line" style={{ height: height + 26 }}>
      <table className="w-full text-xs tabular-nums">
        <thead className="sticky top-0 bg-sunken text-left text-ink-2">
          <tr>
            <th className="px-2 py-1 font-medium">{xLabel ?? (xKind === 'time' ? 'time' : 'step')}</th>
            {series.map((item) => (
              <th key={item.name} className="px-2 py-1 text-right font-medium">
                {item.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {x.slice(first).map((value, index) => (
            <tr key={value} className="border-t border-line">
              <td className="px-2 py-0.5">{writeX(value)}</td>
              {ys.map((row, column) => {
                const cell = row[first + index] ?? null;
                return (
                  <td key={series[column]?.name} className="px-2 py-0.5 text-right">
                    {cell === null ? '–' : format(cell)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollRegion>
  );
}
