export interface DeviceReport {
  name: string;
  servingVersion: string;
  /** Name of the native package, or `model-server`. */
  runtime: string;
  accuracyOnDevice: number;
  f1OnDevice: number;
  /** Time in the model server on the device, decoding included. */
  p50Ms: number;
  p95Ms: number;
  /** From the request to the server until its answer, over the device channel. */
  roundTripP50Ms: number;
  pictures: number;
}

export interface DemoReport {
  elapsedS: number;
  url: string;
  steps: { name: string; elapsedS: number; note: string }[];
  dataset: { name: string; version: number; train: number; test: number };
  run: { name: string; reused: boolean; steps: { name: string; elapsedS: number }[] };
  model: { name: string; version: string; metrics: Record<string, number> };
  devices: DeviceReport[];
}

const percent = (value: number) => `${(value * 100).toFixed(1)} %`;

/** The first column is left-aligned; so is every one named in `left`. */
function table(rows: readonly (readonly string[])[], left: readonly number[] = [0]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const align = (cell: string, column: number) =>
    left.includes(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => `  ${row.map(align).join('   ')}`.trimEnd()).join('\n');
}

/** The one table that the demo ends with. */
export function formatReport(report: DemoReport): string {
  const { metrics, name, version } = report.model;
  const models = [
    ['', 'version', 'accuracy', 'macro F1', 'p50', 'p95', 'over the channel p50', 'served by'],
    ['as trained', version, percent(metrics.accuracy ?? Number.NaN), percent(metrics.f1 ?? Number.NaN), '', '', '', ''],
    ...report.devices.map((device) => [
      device.name,
      device.servingVersion,
      percent(device.accuracyOnDevice),
      percent(device.f1OnDevice),
      `${device.p50Ms.toFixed(1)} ms`,
      `${device.p95Ms.toFixed(1)} ms`,
      `${device.roundTripP50Ms.toFixed(1)} ms`,
      device.runtime,
    ]),
  ];
  const steps = report.steps.map((step) => [step.name, `${step.elapsedS.toFixed(1)} s`, step.note]);
  return [
    '',
    `Model ${name}, ${report.devices[0]?.pictures ?? 0} held-out pictures sent to each device:`,
    '',
    table(models, [0, 7]),
    '',
    table([...steps, ['total', `${report.elapsedS.toFixed(1)} s`, '']], [0, 2]),
    '',
    `UI: ${report.url}`,
    '',
  ].join('\n');
}
