import type { GateMetric, GateResult } from '@selvedge/contract';
import { formatBytes, formatMs, formatNumber } from './format.ts';
import type { Status } from './status.ts';

const SIGNS = { '<=': '≤', '>=': '≥', '<': '<', '>': '>', '==': '=' } as const;
const SHARES: readonly GateMetric[] = ['accuracy', 'f1', 'precision', 'recall'];
const MIB = 1024 * 1024;

/** How a version does by one line of its task. What was not measured does not pass, and is not a failure either. */
export function gateStatus({ passed, value }: GateResult): Status {
  if (value === null) return { tone: passed === null ? 'idle' : 'warn', text: 'Not measured' };
  if (passed === null) return { tone: 'idle', text: 'Not bound' };
  return passed ? { tone: 'ok', text: 'Passed' } : { tone: 'bad', text: 'Failed' };
}

/** `≤ 20 ms`, `≥ 95 %`; a dash for a criterion without a bound. */
export function gateWanted({ metric, operator, wanted }: GateResult): string {
  return operator === null || wanted === null ? '–' : `${SIGNS[operator]} ${gateValue(metric, wanted)}`;
}

/** A value in the unit of its metric; a dash while there is none. */
export function gateValue(metric: GateMetric, value: number | null): string {
  if (value === null) return '–';
  if (SHARES.includes(metric)) return `${formatNumber(Number((value * 100).toFixed(2)))} %`;
  if (metric.endsWith('MiB')) return formatBytes(value * MIB);
  if (metric.endsWith('Ms')) return formatMs(value);
  return formatNumber(value);
}

/** All lines in a few words: `2 of 3 passed`, `1 not measured`; undefined when there is no line. */
export function gatesStatus(results: readonly GateResult[]): Status | undefined {
  const bounded = results.filter((result) => result.passed !== null);
  if (bounded.length === 0) return undefined;
  const failed = bounded.filter((result) => result.passed === false && result.value !== null).length;
  const missing = bounded.filter((result) => result.value === null).length;
  if (failed > 0) return { tone: 'bad', text: `${failed} failed` };
  if (missing > 0) return { tone: 'warn', text: `${missing} not measured` };
  return { tone: 'ok', text: `${bounded.length} passed` };
}
