import type { DatasetReport, DatasetVersion } from '@selvedge/contract';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { formatBytes, plural } from '../../lib/format.ts';
import { useBackend } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { type Column, Table } from '../../ui/table.tsx';

const LISTED = 20;

function useDetail(version: DatasetVersion) {
  const { client } = useBackend();
  const { dataset, version: number } = version.spec;
  return useQuery({
    queryKey: ['dataset-version', dataset, number, version.metadata.resourceVersion],
    queryFn: ({ signal }) => client.getDatasetVersion({ params: { name: dataset, version: number }, signal }),
  });
}

/** Samples of each class by split. */
export function DatasetBalance({ version }: { version: DatasetVersion }): ReactNode {
  const detail = useDetail(version);
  return (
    <Card title="Class balance" flush>
      <QueryView query={detail} label="class balance" rows={5}>
        {({ report }) => (report === null ? <Missing /> : <Balance report={report} />)}
      </QueryView>
    </Card>
  );
}

/** What the import found: sizes, copies, broken files; and what needs the version. */
export function DatasetFindings({ version }: { version: DatasetVersion }): ReactNode {
  const { data } = useDetail(version);
  if (data === undefined) return null;
  return (
    <>
      {data.report !== null && (
        <Card title="Found on import">
          <Findings report={data.report} />
        </Card>
      )}
      <Card title="Needed by">
        {data.neededBy.length === 0 ? (
          <p className="text-sm text-ink-2">Nothing: it can be removed.</p>
        ) : (
          <ul className="grid gap-1 text-sm">
            {data.neededBy.slice(0, LISTED).map((user) => (
              <li key={user} className="truncate">
                <User name={user} />
              </li>
            ))}
            <More count={data.neededBy.length} />
          </ul>
        )}
      </Card>
    </>
  );
}

function Missing(): ReactNode {
  return <p className="p-4 text-sm text-ink-2">This version was imported before reports were kept.</p>;
}

/** `run/digits-1` as a link to it, where there is a page. */
function User({ name }: { name: string }): ReactNode {
  const run = /^run\/(.+)$/.exec(name)?.[1];
  if (run === undefined) return <span title={name}>{name}</span>;
  return (
    <Link to="/runs/$name" params={{ name: run }} className="underline-offset-2 hover:underline">
      {name}
    </Link>
  );
}

function More({ count }: { count: number }): ReactNode {
  return count > LISTED ? <li className="text-ink-3">and {(count - LISTED).toLocaleString('en')} more</li> : null;
}

type BalanceRow = DatasetReport['balance'][number];
const totalOf = (row: BalanceRow) => Object.values(row.splits).reduce((sum, count) => sum + count, 0);

function Balance({ report }: { report: DatasetReport }): ReactNode {
  const splits = [...new Set(report.balance.flatMap((row) => Object.keys(row.splits)))].sort();
  const most = Math.max(1, ...report.balance.map(totalOf));
  const columns: Column<BalanceRow>[] = [
    { id: 'label', head: 'Class', sort: (row) => row.label, className: 'max-w-40 truncate', cell: (row) => row.label },
    {
      id: 'share',
      head: 'Share',
      cell: (row) => (
        <span aria-hidden="true" className="block h-2 w-24 overflow-hidden rounded-full bg-sunken sm:w-40">
          <span className="block h-full rounded-full bg-accent" style={{ width: `${(totalOf(row) / most) * 100}%` }} />
        </span>
      ),
    },
    ...splits.map(
      (split): Column<BalanceRow> => ({
        id: `split ${split}`,
        head: split,
        align: 'right',
        first: 'descending',
        sort: (row) => row.splits[split] ?? 0,
        cell: (row) => (row.splits[split] ?? 0).toLocaleString('en'),
      }),
    ),
  ];
  return <Table caption="Samples per class" columns={columns} rows={report.balance} keyOf={(row) => row.label} pageSize={20} />;
}

const range = (min: number, max: number) => (min === max ? String(min) : `${min}–${max}`);

function Findings({ report }: { report: DatasetReport }): ReactNode {
  const { layout, pictureSize, fileSize, duplicates, broken, notes } = report;
  const across = duplicates.acrossSplits === 0 ? '' : `; ${duplicates.acrossSplits} contents are in several splits`;
  const facts: [string, ReactNode][] = [['Recognised', layout]];
  if (pictureSize !== null) {
    const { minWidth, maxWidth, minHeight, maxHeight, sizes } = pictureSize;
    facts.push(['Pictures', `${range(minWidth, maxWidth)} × ${range(minHeight, maxHeight)} pixels${sizes > 1 ? `, ${sizes} sizes` : ''}`]);
  }
  if (fileSize !== null) facts.push(['File size', `${formatBytes(fileSize.min)} to ${formatBytes(fileSize.max)}`]);
  facts.push(['Copies', duplicates.files === 0 ? 'none' : `${plural(duplicates.files, 'file')}${across}`]);
  facts.push(['Broken', broken.count === 0 ? 'none' : `${plural(broken.count, 'file')} left out`]);
  return (
    <div className="grid gap-4">
      <KeyValue items={facts} wrap />
      {broken.count > 0 && (
        <Lines title="Broken files" lines={broken.files.map(({ path, message }) => `${path}: ${message}`)} count={broken.count} />
      )}
      {duplicates.groups.length > 0 && (
        <Lines
          title="Copies"
          lines={duplicates.groups.map(({ count, paths }) => `${count} × ${paths.slice(0, 3).join(', ')}`)}
          count={duplicates.groups.length}
        />
      )}
      {notes.length > 0 && <Lines title="Notes" lines={notes} count={notes.length} />}
    </div>
  );
}

function Lines({ title, lines, count }: { title: string; lines: readonly string[]; count: number }): ReactNode {
  return (
    <div className="min-w-0">
      <h3 className="mb-1 text-xs font-semibold text-ink-3">{title}</h3>
      <ul className="grid gap-0.5 text-sm">
        {lines.slice(0, LISTED).map((line) => (
          <li key={line} className="break-words">
            {line}
          </li>
        ))}
        <More count={count} />
      </ul>
    </div>
  );
}
