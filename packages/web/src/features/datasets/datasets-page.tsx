import type { Dataset, DatasetVersion } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { formatBytes } from '../../lib/format.ts';
import { useList } from '../../lib/queries.ts';
import { datasetStatus } from '../../lib/status.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { NameLink } from '../../ui/name-link.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { samplesOf, splitsText } from './content.ts';

interface Row {
  readonly dataset: Dataset;
  /** The newest, also one that is being imported or has failed. */
  readonly newest: DatasetVersion | undefined;
  /** The newest that can be used. */
  readonly latest: DatasetVersion | undefined;
}

/** Every dataset with its newest version. */
export function DatasetsPage(): ReactNode {
  const datasets = useList('Dataset');
  const versions = useList('DatasetVersion');
  const rows = (datasets.data ?? []).map((dataset): Row => {
    const own = (versions.data ?? []).filter(({ spec, status }) => spec.dataset === dataset.metadata.name && status.sameAs === undefined);
    const ordered = own.toSorted((a, b) => b.spec.version - a.spec.version);
    return { dataset, newest: ordered[0], latest: ordered.find(({ spec }) => spec.version === dataset.status.latestVersion) };
  });
  return (
    <Page title="Datasets" actions={<CliHint commands={['selvedge dataset list', 'selvedge dataset add NAME --from FOLDER']} />}>
      <Card flush>
        <QueryView query={datasets} label="datasets" rows={5}>
          {() =>
            rows.length === 0 ? (
              <EmptyState icon="dataset" title="No dataset yet" command="selvedge dataset add NAME --from FOLDER">
                Folders of pictures, COCO, YOLO, Pascal VOC, CSV, NPZ and IDX are read, also from an archive, a URL or S3.
              </EmptyState>
            ) : (
              <Table
                caption="Datasets"
                columns={COLUMNS}
                rows={rows}
                keyOf={(row) => row.dataset.metadata.uid}
                order={{ column: 'changed', direction: 'descending' }}
              />
            )
          }
        </QueryView>
      </Card>
    </Page>
  );
}

const contentOf = (row: Row) => row.latest?.status.content ?? null;

const COLUMNS: readonly Column<Row>[] = [
  {
    id: 'name',
    head: 'Dataset',
    sort: (row) => row.dataset.metadata.name,
    className: 'max-w-44 sm:max-w-64',
    cell: ({ dataset }) => <NameLink to="/datasets/$name" name={dataset.metadata.name} />,
  },
  {
    id: 'state',
    head: 'State',
    cell: ({ newest }) =>
      newest === undefined ? <span className="text-ink-3">no version</span> : <StatusBadge status={datasetStatus(newest.status.phase)} />,
  },
  { id: 'type', head: 'Type', from: 'md', cell: (row) => contentOf(row)?.type ?? '–' },
  {
    id: 'samples',
    head: 'Samples',
    align: 'right',
    first: 'descending',
    sort: (row) => samplesOf(contentOf(row)),
    cell: (row) => samplesOf(contentOf(row))?.toLocaleString('en') ?? '–',
  },
  { id: 'splits', head: 'Splits', from: 'md', cell: (row) => splitsText(contentOf(row)) },
  { id: 'labels', head: 'Classes', align: 'right', from: 'sm', cell: (row) => contentOf(row)?.labels.length.toLocaleString('en') ?? '–' },
  {
    id: 'size',
    head: 'Size',
    align: 'right',
    from: 'sm',
    first: 'descending',
    sort: (row) => contentOf(row)?.sizeBytes ?? null,
    cell: (row) => {
      const content = contentOf(row);
      return content === null ? '–' : formatBytes(content.sizeBytes);
    },
  },
  { id: 'versions', head: 'Versions', align: 'right', from: 'md', cell: (row) => row.dataset.status.versions.length },
  {
    id: 'changed',
    head: 'Last version',
    align: 'right',
    from: 'sm',
    first: 'descending',
    sort: (row) => row.newest?.metadata.createdAt ?? row.dataset.metadata.createdAt,
    cell: (row) => <RelativeTime at={row.newest?.metadata.createdAt ?? null} missing="none" />,
  },
];
