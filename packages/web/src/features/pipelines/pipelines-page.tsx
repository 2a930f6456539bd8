import type { Pipeline, Run } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { useList } from '../../lib/queries.ts';
import { runStatus } from '../../lib/status.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { StartRunDialog } from '../runs/start-run-dialog.tsx';

interface Row {
  readonly pipeline: Pipeline;
  readonly last: Run | undefined;
}

/** Every pipeline of the project with its task and its last run, and the way to start one. */
export function PipelinesPage(): ReactNode {
  const pipelines = useList('Pipeline');
  const runs = useList('Run');
  const [starting, setStarting] = useState<string>();
  const rows = (pipelines.data ?? []).map(
    (pipeline): Row => ({ pipeline, last: runs.data?.find(({ metadata }) => metadata.name === pipeline.status.lastRun) }),
  );
  return (
    <Page
      title="Pipelines"
      actions={
        <CliHint
          commands={['selvedge pipeline list', 'selvedge apply -f pipeline.json', 'selvedge pipeline run NAME --set lr=0.01 --watch']}
        />
      }
    >
      <Card flush>
        <QueryView query={pipelines} label="pipelines" rows={5}>
          {() =>
            rows.length === 0 ? (
              <EmptyState icon="pipeline" title="No pipeline yet" command="selvedge apply -f pipeline.json">
                A pipeline names its dataset, the steps before and after the model, and how to train it.
              </EmptyState>
            ) : (
              <Table
                caption="Pipelines"
                columns={[...COLUMNS, startColumn(setStarting)]}
                rows={rows}
                keyOf={({ pipeline }) => pipeline.metadata.uid}
              />
            )
          }
        </QueryView>
      </Card>
      {starting !== undefined && <StartRunDialog open pipeline={starting} onOpenChange={(open) => !open && setStarting(undefined)} />}
    </Page>
  );
}

const link = 'block truncate underline-offset-2 hover:underline';

const COLUMNS: readonly Column<Row>[] = [
  {
    id: 'name',
    head: 'Pipeline',
    sort: ({ pipeline }) => pipeline.metadata.name,
    className: 'max-w-28 sm:max-w-56',
    cell: ({ pipeline: { metadata } }) => (
      <Link to="/pipelines/$name" params={{ name: metadata.name }} title={metadata.name} className={`${link} font-medium`}>
        {metadata.name}
      </Link>
    ),
  },
  {
    id: 'task',
    head: 'Task',
    from: 'md',
    sort: ({ pipeline }) => pipeline.spec.task ?? null,
    className: 'max-w-56',
    cell: ({ pipeline: { spec } }) =>
      spec.task === undefined ? (
        <span className="text-ink-3">none</span>
      ) : (
        <Link to="/tasks/$name" params={{ name: spec.task }} title={spec.task} className={link}>
          {spec.task}
        </Link>
      ),
  },
  {
    id: 'dataset',
    head: 'Dataset',
    from: 'lg',
    sort: ({ pipeline }) => pipeline.spec.dataset.name,
    className: 'max-w-40 truncate text-ink-2',
    cell: ({ pipeline }) => pipeline.spec.dataset.name,
  },
  {
    id: 'last',
    head: 'Last run',
    className: 'max-w-32 sm:max-w-64',
    sort: ({ last }) => last?.metadata.createdAt ?? null,
    first: 'descending',
    cell: ({ pipeline: { status }, last }) =>
      status.lastRun === null ? (
        <span className="text-ink-3">never</span>
      ) : (
        <span className="flex min-w-0 flex-wrap items-center gap-x-2">
          <Link to="/runs/$name" params={{ name: status.lastRun }} title={status.lastRun} className={link}>
            {status.lastRun}
          </Link>
          {last !== undefined && <StatusBadge status={runStatus(last.status.phase)} />}
        </span>
      ),
  },
  {
    id: 'when',
    head: 'When',
    align: 'right',
    from: 'sm',
    cell: ({ last }) => <RelativeTime at={last?.metadata.createdAt ?? null} missing="–" />,
  },
];

const startColumn = (start: (pipeline: string) => void): Column<Row> => ({
  id: 'actions',
  head: 'Actions',
  align: 'right',
  cell: ({ pipeline: { metadata } }) => (
    <Button size="sm" icon="play" onClick={() => start(metadata.name)}>
      Run<span className="sr-only"> {metadata.name}</span>
    </Button>
  ),
});
