export interface ChartSeries {
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
}

export interface LineChartProps {
  title: string;
  series: readonly ChartSeries[];
  /** How a value is written, in legend, axis and table. */
  format: (value: number) => string;
  /** `time`: x is seconds since the epoch; `step`: a count. */
  xKind: 'time' | 'step';
  xLabel?: string;
  height?: number;
  /** The y axis begins at zero. */
  fromZero?: boolean;
  /** Ticks of the y axis at powers of two, for bytes. */
  binary?: boolean;
}

/** The custom properties that hold the colours of series, in order. */
export const SERIES_VARIABLES = ['--series-1', '--series-2', '--series-3', '--series-4', '--series-5', '--series-6'] as const;
