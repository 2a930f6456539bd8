import type { PackageBenchmark } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { formatBytes, formatMs, formatNumber } from '../../lib/format.ts';
import { classNames } from '../../ui/class-names.ts';

interface Measure {
  readonly head: string;
  readonly title: string;
  readonly text: (row: PackageBenchmark) => string;
  /** Left out on a narrow window. */
  readonly wide?: true;
}

const MEASURES: readonly Measure[] = [
  { head: 'p50', title: 'Median time from the encoded picture to the result', text: ({ latencyMs }) => formatMs(latencyMs.p50) },
  { head: 'p99', title: '99 of 100 pictures take at most this long', text: ({ latencyMs }) => formatMs(latencyMs.p99) },
  { head: 'Images/s', title: 'Pictures per second', text: ({ imagesPerS }) => formatNumber(Number(imagesPerS.toPrecision(3))) },
  { head: 'Memory', title: 'Largest resident set', text: ({ rssBytes }) => formatBytes(rssBytes), wide: true },
  { head: 'Start', title: 'From exec to the first result', text: ({ coldStartMs }) => formatMs(coldStartMs), wide: true },
];

/** What devices measured of a package, one line each. */
export function MeasurementTable({ rows }: { rows: readonly PackageBenchmark[] }): ReactNode {
  return (
    <table className="w-full table-fixed text-left text-xs">
      <caption className="sr-only">Measured on devices</caption>
      <thead className="text-ink-3">
        <tr>
          <th scope="col" className="py-1 font-medium">
            Measured on
          </th>
          {MEASURES.map(({ head, title, wide }) => (
            <th
              key={head}
              scope="col"
              title={title}
              className={classNames('w-17 py-1 text-right font-medium', wide === true && 'max-sm:hidden')}
            >
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody className="divide-y divide-line border-t border-line tabular-nums">
        {rows.map((row) => (
          <tr key={row.device}>
            <th scope="row" className="truncate py-1 font-normal" title={`${row.device}: ${row.cpuModel}, ${threads(row.threads)}`}>
              {row.device}
            </th>
            {MEASURES.map(({ head, text, wide }) => (
              <td key={head} className={classNames('py-1 text-right whitespace-nowrap', wide === true && 'max-sm:hidden')}>
                {text(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function threads(count: number): string {
  return count === 1 ? 'one thread' : `${count} threads`;
}
