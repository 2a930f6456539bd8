import type { BenchmarkReport, ClassReport } from '@selvedge/contract';

type Cell = string | number | null | undefined;

/**
 * RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front: labels come from the files of
 * others.
 */
function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function table(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

/** A row per class, with the columns that this kind of model has. */
export function classCsv({ perClass }: BenchmarkReport): string {
  const columns = columnsOf(perClass);
  return table([columns, ...perClass.map((one) => columns.map((column) => one[column]))]);
}

/** A row per metric, with the time that one sample takes. */
export function metricsCsv({ metrics, samples, latencyMs }: BenchmarkReport): string {
  const extra = { samples, latencyP50Ms: latencyMs.p50, latencyP95Ms: latencyMs.p95 };
  return table([['metric', 'value'], ...Object.entries({ ...metrics, ...extra })]);
}

const COLUMNS = ['label', 'support', 'precision', 'recall', 'f1', 'rocAuc', 'ap50', 'ap', 'rank1', 'map'] as const;

/** The scores that at least one class has. */
export function columnsOf(perClass: readonly ClassReport[]): (typeof COLUMNS)[number][] {
  return COLUMNS.filter((column) => column === 'label' || column === 'support' || perClass.some((one) => one[column] !== undefined));
}
