import { meetsGate, type WantedMetric } from '@selvedge/contract';
import { type Html, html, NOTHING } from './html.ts';

export interface JudgedMetric extends WantedMetric {
  /** Null when the benchmark of this kind of model has no such metric. */
  readonly value: number | null;
  /** Null where nothing is asked of it. */
  readonly passed: boolean | null;
}

/** How the metrics do by what was wanted of them, in the order of the wishes. */
export function judge(metrics: Readonly<Record<string, number>>, wanted: readonly WantedMetric[]): JudgedMetric[] {
  return wanted.map((one) => {
    const value = metrics[one.metric] ?? null;
    const passed = one.operator === null || one.wanted === null ? null : value !== null && meetsGate(value, one.operator, one.wanted);
    return { ...one, value, passed };
  });
}

/** The criteria of the task, with what was wanted, what was got, and whether that is enough. */
export function criteriaSection(criteria: readonly JudgedMetric[], format: (value: number) => string): Html {
  if (criteria.length === 0) return NOTHING;
  const rows = criteria.map(({ metric, operator, wanted, value, passed }) => {
    const bound = operator === null || wanted === null ? '' : `${operator} ${wanted}`;
    const result = passed === null ? '' : passed ? 'passed' : 'not passed';
    return html`<tr><td>${metric}</td><td>${bound}</td><td>${value === null ? 'not measured' : format(value)}</td><td>${result}</td></tr>`;
  });
  return html`<section><h2>Criteria of the task</h2><div class="scroll"><table class="wide"><thead><tr><th>metric</th><th>wanted</th><th>got</th><th>result</th></tr></thead><tbody>${rows}</tbody></table></div></section>`;
}
