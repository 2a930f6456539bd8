import type { MetricSeries } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { useArtifactMetrics } from '../../lib/containers.ts';
import { formatMetric, formatNumber, isShareMetric } from '../../lib/format.ts';
import { chartableGroups, groupMetrics } from '../../lib/metrics.ts';
import { LineChart } from '../../ui/line-chart.tsx';
import { QueryView } from '../../ui/query-view.tsx';

/** The curves of one artifact, live while it is made; what has one point only is told as a number. */
export function ArtifactMetrics({ tool, artifact, isMade }: { tool: string; artifact: string; isMade: boolean }): ReactNode {
  const metrics = useArtifactMetrics(tool, artifact, isMade);
  return (
    <div className="p-4">
      <QueryView query={metrics} label="metrics" rows={4}>
        {(series) => (series.length === 0 ? <p className="text-sm text-ink-3">It has no metrics.</p> : <Charts series={series} />)}
      </QueryView>
    </div>
  );
}

function Charts({ series }: { series: readonly MetricSeries[] }): ReactNode {
  const points = series.flatMap(({ metric, steps, values, times }) =>
    steps.map((step, i) => ({ metric, step, value: values[i] ?? 0, at: times[i] ?? '' })),
  );
  const groups = chartableGroups(groupMetrics(points));
  const single = series.filter(({ steps }) => steps.length === 1);
  return (
    <div className="grid gap-5">
      {single.length > 0 && (
        <dl className="grid grid-cols-[repeat(auto-fill,minmax(8.5rem,1fr))] gap-x-4 gap-y-3">
          {single.map(({ metric, values }) => (
            <div key={metric} className="min-w-0">
              <dt className="truncate text-xs text-ink-3" title={metric}>
                {metric}
              </dt>
              <dd className="text-lg font-semibold tracking-tight tabular-nums">{formatMetric(metric, values[0] ?? 0)}</dd>
            </div>
          ))}
        </dl>
      )}
      {groups.map((group) => (
        <LineChart
          key={group.name}
          title={group.name}
          series={group.series}
          xKind="step"
          format={(value) => (isShareMetric(group.name) ? `${(value * 100).toFixed(1)} %` : formatNumber(value))}
        />
      ))}
    </div>
  );
}
