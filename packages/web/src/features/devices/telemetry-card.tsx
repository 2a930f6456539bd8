import type { TelemetrySample } from '@selvedge/contract';
import { type ReactNode, useMemo, useState } from 'react';
import { formatBytes } from '../../lib/format.ts';
import { useTelemetry } from '../../lib/queries.ts';
import { rateOf, seriesOf } from '../../lib/telemetry.ts';
import { Card } from '../../ui/card.tsx';
import type { ChartSeries } from '../../ui/chart-props.ts';
import { LineChart } from '../../ui/line-chart.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { Segmented } from '../../ui/segmented.tsx';

const RANGES = [
  { id: '1', text: '1 h' },
  { id: '6', text: '6 h' },
  { id: '24', text: '24 h' },
] as const;
type Range = (typeof RANGES)[number]['id'];

/** A device's curves over the last hours; they grow as samples come in. */
export function TelemetryCard({ device }: { device: string }): ReactNode {
  const [range, setRange] = useState<Range>('1');
  const telemetry = useTelemetry(device, Number(range));
  return (
    <Card title="Telemetry" actions={<Segmented label="Time range" options={RANGES} value={range} onChange={setRange} />} flush>
      <QueryView query={telemetry} label="telemetry" rows={10}>
        {(samples) =>
          samples.length === 0 ? (
            <p className="px-4 py-10 text-center text-sm text-ink-3">No sample in the last {range === '1' ? 'hour' : `${range} hours`}.</p>
          ) : (
            <Charts samples={samples} />
          )
        }
      </QueryView>
    </Card>
  );
}

const percent = (value: number) => `${value.toFixed(value < 10 && value > 0 ? 1 : 0)} %`;
const bytes = (value: number) => formatBytes(Math.max(0, value));
const perSecond = (value: number) => `${bytes(value)}/s`;
const celsius = (value: number) => `${value.toFixed(1)} °C`;

function Charts({ samples }: { samples: readonly TelemetrySample[] }): ReactNode {
  const charts = useMemo(() => chartsOf(samples), [samples]);
  return (
    <div className="grid gap-x-6 gap-y-4 p-4 md:grid-cols-2">
      {charts.map((chart) => (
        <LineChart key={chart.title} {...chart} xKind="time" height={130} />
      ))}
    </div>
  );
}

interface Chart {
  title: string;
  series: readonly ChartSeries[];
  format: (value: number) => string;
  fromZero: boolean;
  binary?: boolean;
}

/** A chart only where the device has the sensor. */
function chartsOf(samples: readonly TelemetrySample[]): Chart[] {
  const charts: Chart[] = [
    { title: 'CPU', format: percent, fromZero: true, series: [{ name: 'busy', ...seriesOf(samples, 'cpu', 100) }] },
    {
      title: 'Memory',
      format: bytes,
      binary: true,
      fromZero: true,
      series: [
        { name: 'used', ...seriesOf(samples, 'memoryUsedBytes') },
        { name: 'agent', ...seriesOf(samples, 'agentRssBytes') },
      ],
    },
    { title: 'Temperature', format: celsius, fromZero: false, series: [{ name: 'temperature', ...seriesOf(samples, 'temperatureC') }] },
    {
      title: 'Network',
      format: perSecond,
      binary: true,
      fromZero: true,
      series: [
        { name: 'in', ...rateOf(samples, 'networkRxBytes') },
        { name: 'out', ...rateOf(samples, 'networkTxBytes') },
      ],
    },
    { title: 'Disk', format: bytes, binary: true, fromZero: true, series: [{ name: 'used', ...seriesOf(samples, 'diskUsedBytes') }] },
  ];
  return charts.filter((chart) => chart.series.some((series) => series.y.some((value) => value !== null)));
}
