import type { ResultSummary } from '@selvedge/contract';
import { type ReactNode, useMemo, useState } from 'react';
import { useDeviceResults } from '../../lib/queries.ts';
import { resultSeries } from '../../lib/results.ts';
import { Card } from '../../ui/card.tsx';
import { LineChart } from '../../ui/line-chart.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { Segmented } from '../../ui/segmented.tsx';

const RANGES = [
  { id: '24', text: '24 h' },
  { id: '168', text: '7 d' },
  { id: '720', text: '30 d' },
] as const;
type Range = (typeof RANGES)[number]['id'];

/** What the models on a device answered; what it kept while it was offline appears when it is back. */
export function ResultsCard({ device }: { device: string }): ReactNode {
  const [range, setRange] = useState<Range>('24');
  const results = useDeviceResults(device, Number(range));
  return (
    <Card title="Results" actions={<Segmented label="Time range of results" options={RANGES} value={range} onChange={setRange} />} flush>
      <QueryView query={results} label="results" rows={4}>
        {(list) =>
          list.length === 0 ? (
            <p className="px-4 py-6 text-center text-sm text-ink-3">No model has answered a request in this time.</p>
          ) : (
            <Charts results={list} />
          )
        }
      </QueryView>
    </Card>
  );
}

const perMinute = (value: number) => `${Number(value.toPrecision(3))}/min`;
const milliseconds = (value: number) => `${Number(value.toPrecision(3))} ms`;

function Charts({ results }: { results: readonly ResultSummary[] }): ReactNode {
  const { traffic, latency } = useMemo(() => resultSeries(results), [results]);
  return (
    <div className="grid gap-x-6 gap-y-4 p-4 md:grid-cols-2">
      <LineChart title="Requests" series={traffic} format={perMinute} xKind="time" height={130} fromZero />
      <LineChart title="Latency, 95th percentile" series={latency} format={milliseconds} xKind="time" height={130} fromZero />
    </div>
  );
}
