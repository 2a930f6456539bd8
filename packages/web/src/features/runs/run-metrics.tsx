import type { Run } from '@selvedge/contract';
import { type ReactNode, useMemo } from 'react';
import { formatMetric, formatNumber, isShareMetric } from '../../lib/format.ts';
import { chartableGroups, groupMetrics, orderMetricNames } from '../../lib/metrics.ts';
import { useRunMetrics } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { LineChart } from '../../ui/line-chart.tsx';
import { QueryView } from '../../ui/query-view.tsx';

/** The last value of every metric, and a chart per kind of metric that grows while the run goes on. */
export function RunMetrics({ run }: { run: Run }): ReactNode {
  const metrics = useRunMetrics(run.metadata.name);
  const groups = useMemo(() => chartableGroups(groupMetrics(metrics.data ?? [])), [metrics.data]);
  return (
    <Card title="Metrics" flush>
      <QueryView query={metrics} label="metrics" rows={6}>
        {() => (
          <div className="grid gap-5 p-4">
            <Values metrics={run.status.metrics} waiting={groups.length === 0} />
            {groups.length > 0 && (
              <div className="grid gap-x-6 gap-y-4 md:grid-cols-2">
                {groups.map((group) => (
                  <LineChart
                    key={group.name}
                    title={group.name}
                    series={group.series}
                    xKind="step"
                    xLabel={group.name.includes('batch') ? 'batch' : 'epoch'}
                    format={(value) => (isShareMetric(group.name) ? `${(value * 100).toFixed(1)} %` : formatNumber(value))}
                  />
                ))}
              </div>
            )}
          </div>
        )}
      </QueryView>
    </Card>
  );
}

function Values({ metrics, waiting }: { metrics: Record<string, number>; waiting: boolean }): ReactNode {
  const entries = orderMetricNames(Object.keys(metrics)).flatMap((name) =>
    metrics[name] === undefined ? [] : [[name, metrics[name]] as const],
  );
  if (entries.length === 0 && !waiting) return null;
  if (entries.length === 0) return <p className="text-sm text-ink-3">Metrics appear while the train step runs.</p>;
  return (
    <dl className="grid grid-cols-[repeat(auto-fill,minmax(8.5rem,1fr))] gap-x-4 gap-y-3">
      {entries.map(([name, value]) => (
        <div key={name} className="min-w-0">
          <dt className="truncate text-xs text-ink-3" title={name}>
            {name}
          </dt>
          <dd className="text-lg font-semibold tracking-tight tabular-nums">{formatMetric(name, value)}</dd>
        </div>
      ))}
    </dl>
  );
}
