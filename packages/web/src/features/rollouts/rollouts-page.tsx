import type { Rollout } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { useList } from '../../lib/queries.ts';
import { rolloutStatus } from '../../lib/status.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { NameLink } from '../../ui/name-link.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';

/** Every change of what devices serve, the newest first. */
export function RolloutsPage(): ReactNode {
  const rollouts = useList('Rollout');
  return (
    <Page
      title="Rollouts"
      actions={<CliHint commands={['selvedge rollout list', 'selvedge deploy MODEL:VERSION --watch', 'selvedge rollout show NAME']} />}
    >
      <Card flush>
        <QueryView query={rollouts} label="rollouts" rows={4}>
          {(rows) =>
            rows.length === 0 ? (
              <EmptyState icon="deployment" title="No rollout yet" command="selvedge deploy MODEL:VERSION">
                Every change of what devices serve is a rollout: at once, or in waves of devices that try the version first.
              </EmptyState>
            ) : (
              <Table
                caption="Rollouts"
                columns={COLUMNS}
                rows={rows}
                keyOf={({ metadata }) => metadata.uid}
                order={{ column: 'started', direction: 'descending' }}
              />
            )
          }
        </QueryView>
      </Card>
    </Page>
  );
}

const passed = ({ status }: Rollout): number => status.devices.filter(({ state }) => state === 'passed').length;

const COLUMNS: readonly Column<Rollout>[] = [
  {
    id: 'name',
    head: 'Rollout',
    sort: ({ metadata }) => metadata.name,
    className: 'max-w-40 sm:max-w-64',
    cell: ({ metadata }) => <NameLink to="/rollouts/$name" name={metadata.name} />,
  },
  {
    id: 'state',
    head: 'State',
    sort: ({ status }) => status.phase,
    cell: ({ status }) => <StatusBadge status={rolloutStatus(status.phase)} />,
  },
  {
    id: 'version',
    head: 'Version',
    from: 'sm',
    className: 'max-w-56 truncate',
    cell: ({ spec }) => (
      <span className="font-mono text-xs" title={`${spec.model}:${spec.toVersion}`}>
        {spec.fromVersion === '' ? spec.toVersion : `${spec.fromVersion} → ${spec.toVersion}`}
      </span>
    ),
  },
  {
    id: 'devices',
    head: 'Devices',
    from: 'md',
    cell: (rollout) => {
      const total = rollout.status.devices.length;
      return `${passed(rollout)} of ${total} passed`;
    },
  },
  {
    id: 'started',
    head: 'Started',
    align: 'right',
    from: 'sm',
    sort: ({ metadata }) => metadata.createdAt,
    first: 'descending',
    cell: ({ metadata }) => <RelativeTime at={metadata.createdAt} />,
  },
];
