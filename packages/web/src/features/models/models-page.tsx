import type { Model, ModelVersion } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { formatMetric, plural } from '../../lib/format.ts';
import { newest } from '../../lib/loop.ts';
import { mainMetric } from '../../lib/metrics.ts';
import { useList } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { NameLink } from '../../ui/name-link.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { Sparkline } from '../../ui/sparkline.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';

interface Row {
  readonly model: Model;
  /** Oldest first. */
  readonly versions: readonly ModelVersion[];
}

/** The registry: every model with its newest version and how its main metric went from version to version. */
export function ModelsPage(): ReactNode {
  const models = useList('Model');
  const versions = useList('ModelVersion');
  const rows = (models.data ?? []).map(
    (model): Row => ({
      model,
      versions: (versions.data ?? []).filter((version) => version.spec.model === model.metadata.name),
    }),
  );
  return (
    <Page title="Models" actions={<CliHint commands={['selvedge model list']} />}>
      <Card flush>
        <QueryView query={models} label="models" rows={5}>
          {() =>
            rows.length === 0 ? (
              <EmptyState icon="model" title="No model yet" command="selvedge pipeline run NAME --watch">
                A run that succeeds registers a version of its model, with its metrics and where it comes from.
              </EmptyState>
            ) : (
              <Table
                caption="Models"
                columns={COLUMNS}
                rows={rows}
                keyOf={(row) => row.model.metadata.uid}
                order={{ column: 'changed', direction: 'descending' }}
              />
            )
          }
        </QueryView>
      </Card>
    </Page>
  );
}

function resultOf(version: ModelVersion | undefined): number | null {
  return version === undefined ? null : (mainMetric(version.spec.metrics)?.value ?? null);
}

function servedBy(row: Row): number {
  return row.versions.reduce((sum, version) => sum + version.status.servedBy, 0);
}

const COLUMNS: readonly Column<Row>[] = [
  {
    id: 'name',
    head: 'Model',
    sort: (row) => row.model.metadata.name,
    className: 'max-w-44 sm:max-w-64',
    cell: ({ model }) => <NameLink to="/models/$name" name={model.metadata.name} />,
  },
  { id: 'latest', head: 'Latest', cell: ({ model }) => <span className="font-mono text-xs">{model.status.aliases.latest ?? '–'}</span> },
  {
    id: 'served',
    head: 'Served',
    first: 'descending',
    sort: servedBy,
    cell: (row) => {
      const count = servedBy(row);
      return (
        <StatusBadge status={count > 0 ? { tone: 'ok', text: `by ${plural(count, 'device')}` } : { tone: 'idle', text: 'Not served' }} />
      );
    },
  },
  {
    id: 'result',
    head: 'Result',
    align: 'right',
    from: 'sm',
    first: 'descending',
    sort: (row) => resultOf(newest(row.versions)),
    cell: (row) => {
      const main = mainMetric(newest(row.versions)?.spec.metrics ?? {});
      return main === null ? <span className="text-ink-3">–</span> : `${main.name} ${formatMetric(main.name, main.value)}`;
    },
  },
  {
    id: 'trend',
    head: 'Over versions',
    from: 'md',
    cell: (row) => <Sparkline values={row.versions.map(resultOf)} label={`Main metric over ${plural(row.versions.length, 'version')}`} />,
  },
  { id: 'versions', head: 'Versions', align: 'right', from: 'md', sort: (row) => row.versions.length, cell: (row) => row.versions.length },
  {
    id: 'changed',
    head: 'Last version',
    align: 'right',
    from: 'sm',
    first: 'descending',
    sort: (row) => newest(row.versions)?.metadata.createdAt ?? null,
    cell: (row) => <RelativeTime at={newest(row.versions)?.metadata.createdAt ?? null} missing="none" />,
  },
];
