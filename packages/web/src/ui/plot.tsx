import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { alignSeries } from '../lib/metrics.ts';
import { useShownTheme } from '../lib/theme.ts';
import { type LineChartProps, SERIES_VARIABLES } from './chart-props.ts';

/** The canvas of LineChart and its legend; loaded on demand, for it brings the charting library with it. */
export function Plot({ series, format, xKind, xLabel, height = 180, fromZero = false, binary = false }: LineChartProps): ReactNode {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const [cursor, setCursor] = useState<number | null>(null);
  const theme = useShownTheme();
  const { x, ys } = useMemo(() => alignSeries(series), [series]);
  const data = useMemo<uPlot.AlignedData>(() => [x, ...ys], [x, ys]);
  const latest = useRef({ data, format });
  latest.current = { data, format };
  const names = series.map((item) => item.name).join('\n');

  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read from the document, which `theme` stands for
  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const shape = { names: names.split('\n'), xKind, height, fromZero, binary, width: element.clientWidth };
    const made = new uPlot(
      optionsFor(shape, (value) => latest.current.format(value), setCursor),
      latest.current.data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [names, xKind, height, fromZero, binary, theme]);

  useEffect(() => plot.current?.setData(data), [data]);

  const at = cursor ?? x.length - 1;
  return (
    <div>
      <div ref={holder} aria-hidden="true" style={{ height }} className="min-w-0 overflow-hidden" />
      <div className="flex h-6.5 items-center gap-x-4 overflow-hidden pt-1 whitespace-nowrap text-xs text-ink-2" aria-hidden="true">
        {series.map((item, index) => (
          <span key={item.name} className="inline-flex items-center gap-1.5">
            <span className="h-0.5 w-3 rounded" style={{ background: `var(${variableOf(index)})` }} />
            {item.name}
            <span className="font-medium text-ink tabular-nums">{valueAt(ys[index], at, cursor === null, format)}</span>
          </span>
        ))}
        <span className="ml-auto text-ink-3 tabular-nums">{cursor === null ? '' : writeX(x[at], xKind, xLabel)}</span>
      </div>
    </div>
  );
}

function variableOf(index: number): string {
  return SERIES_VARIABLES[index % SERIES_VARIABLES.length] ?? SERIES_VARIABLES[0];
}

function valueAt(row: readonly (number | null)[] | undefined, at: number, isLatest: boolean, format: (value: number) => string): string {
  const value = isLatest ? row?.findLast((entry) => entry !== null) : row?.[at];
  return value === null || value === undefined ? '–' : format(value);
}

function writeX(value: number | undefined, kind: 'time' | 'step', label: string | undefined): string {
  if (value === undefined) return '';
  return kind === 'time' ? new Date(value * 1000).toLocaleTimeString('en-GB') : `${label ?? 'step'} ${value}`;
}

interface Shape {
  names: readonly string[];
  xKind: 'time' | 'step';
  width: number;
  height: number;
  fromZero: boolean;
  binary: boolean;
}

/** Steps and epochs are counted: no tick between two of them. */
const WHOLE_STEPS = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
/** Seconds; the axis shows hours and minutes, so nothing finer. */
const TIME_STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

function optionsFor(shape: Shape, format: (value: number) => string, onCursor: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const font = `11px ${style.getPropertyValue('font-family')}`;
  const axis = { stroke: colour('--ink-3'), font, grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
  return {
    width: shape.width,
    height: shape.height,
    legend: { show: false },
    padding: [8, 18, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: shape.xKind === 'time' },
      y: { range: (_plot, low, high) => paddedRange(low, high, shape.fromZero) },
    },
    axes: [
      {
        ...axis,
        size: 28,
        grid: { show: false },
        ...(shape.xKind === 'time'
          ? { values: (_plot: uPlot, splits: number[]) => splits.map(clockTime), incrs: TIME_STEPS }
          : { incrs: WHOLE_STEPS }),
      },
      {
        ...axis,
        size: 58,
        values: (_plot, splits) => splits.map((value) => format(value)),
        ...(shape.binary ? { incrs: BINARY_STEPS } : {}),
      },
    ],
    series: [
      {},
      ...shape.names.map((label, index) => ({
        label,
        stroke: colour(variableOf(index)),
        width: 1.75,
        spanGaps: true,
        points: { show: false },
      })),
    ],
    hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)] },
  };
}

/** Hours and minutes of a time in seconds, local. */
function clockTime(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}

function paddedRange(low: number | null, high: number | null, fromZero: boolean): [number, number] {
  if (low === null || high === null) return [0, 1];
  const bottom = fromZero ? Math.min(0, low) : low;
  const pad = (high - bottom || Math.abs(high) || 1) * 0.08;
  return [fromZero && low >= 0 ? 0 : bottom - pad, high + pad];
}
