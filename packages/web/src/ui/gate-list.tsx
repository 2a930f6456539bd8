import type { GateResult } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { gateStatus, gateValue, gateWanted } from '../lib/gates.ts';
import { StatusBadge } from './status-badge.tsx';

/**
 * Constraints or criteria of a task, line by line: what is wanted, what was got, and whether that is enough. Where no line
 * has a bound there is nothing to want.
 */
export function GateList({ caption, results }: { caption: string; results: readonly GateResult[] }): ReactNode {
  const bounded = results.some((result) => result.operator !== null);
  const advice = adviceOf(results);
  const heads = bounded ? ['Wanted', 'Got', 'Result'] : ['Got'];
  return (
    <>
      <table className="w-full text-left text-sm">
        <caption className="sr-only">{caption}</caption>
        <thead className="border-b border-line text-xs text-ink-3">
          <tr>
            <th scope="col" className="pb-1 font-medium">
              Metric
            </th>
            {heads.map((head) => (
              <th key={head} scope="col" className="pb-1 pl-3 text-right font-medium">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {results.map((result) => (
            <GateRow key={`${result.metric} ${result.operator} ${result.wanted} ${result.dataset}`} result={result} bounded={bounded} />
          ))}
        </tbody>
      </table>
      {advice.length > 0 && (
        <ul className="mt-2 grid gap-0.5 border-t border-line pt-2 text-xs break-words text-ink-2">
          {advice.map(([message, metrics]) => (
            <li key={message}>
              <span className="font-mono">{metrics.join(', ')}</span>: {message}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** What to do for values that are missing: often the same for several metrics. */
function adviceOf(results: readonly GateResult[]): [message: string, metrics: string[]][] {
  const advice = new Map<string, string[]>();
  for (const { metric, value, message } of results) {
    if (value === null && message !== '') advice.set(message, [...(advice.get(message) ?? []), metric]);
  }
  return [...advice];
}

const CELL = 'py-1.5 pl-3 text-right align-top leading-5.5 whitespace-nowrap tabular-nums';

function GateRow({ result, bounded }: { result: GateResult; bounded: boolean }): ReactNode {
  const { metric, value, message } = result;
  // "Not measured" says what a dash would, and a narrow window has no room for both.
  const missing = bounded && value === null;
  return (
    <tr title={message}>
      <th scope="row" className="py-1.5 align-top font-mono text-xs leading-5.5 font-normal">
        {metric}
        {result.dataset !== undefined && <span className="block font-sans text-ink-3">on {result.dataset}</span>}
      </th>
      {bounded && <td className={CELL}>{gateWanted(result)}</td>}
      {!missing && <td className={CELL}>{gateValue(metric, value)}</td>}
      {bounded && (
        <td className={CELL} colSpan={missing ? 2 : 1}>
          {result.passed === null ? <span className="text-ink-3">–</span> : <StatusBadge status={gateStatus(result)} />}
        </td>
      )}
    </tr>
  );
}
