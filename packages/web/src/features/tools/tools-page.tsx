import type { Module } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useModules } from '../../lib/queries.ts';
import { moduleStatus } from '../../lib/status.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';

/** Every tool (container) of the project: whether it runs, and what it is at. */
export function ToolsPage(): ReactNode {
  const modules = useModules();
  return (
    <Page title="Tools" actions={<CliHint commands={['selvedge module list', 'selvedge tool verify URL']} />}>
      <Card flush>
        <QueryView query={modules} label="tools" rows={6}>
          {(list) =>
            list.length === 0 ? (
              <EmptyState icon="tool" title="The server runs no tools" command="selvedge up">
                Tools do the steps of runs. A server that was told to start none has none.
              </EmptyState>
            ) : (
              <Table caption="Tools" columns={COLUMNS} rows={list} keyOf={({ name }) => name} />
            )
          }
        </QueryView>
      </Card>
    </Page>
  );
}

const COLUMNS: readonly Column<Module>[] = [
  {
    id: 'name',
    head: 'Tool',
    sort: ({ name }) => name,
    cell: ({ name }) => (
      <Link to="/tools/$name" params={{ name }} className="font-medium underline-offset-2 hover:underline">
        {name}
      </Link>
    ),
  },
  { id: 'state', head: 'State', sort: ({ state }) => state, cell: ({ state }) => <StatusBadge status={moduleStatus(state)} /> },
  {
    id: 'work',
    head: 'At work on',
    className: 'max-w-36 truncate sm:max-w-64',
    cell: ({ busyWith }) => (busyWith === null ? <span className="text-ink-3">nothing</span> : <span title={busyWith}>{busyWith}</span>),
  },
  { id: 'queued', head: 'Waiting', align: 'right', from: 'sm', sort: ({ queued }) => queued, cell: ({ queued }) => queued },
  { id: 'restarts', head: 'Restarts', align: 'right', from: 'md', sort: ({ restarts }) => restarts, cell: ({ restarts }) => restarts },
  { id: 'since', head: 'Since', align: 'right', from: 'sm', cell: ({ since }) => <RelativeTime at={since} /> },
];
