import type { RecallView } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { plural } from '../../lib/format.ts';
import { useList } from '../../lib/queries.ts';
import { rolloutSince } from '../../lib/recall.ts';
import { onlineStatus, rolloutStatus, workloadStatus } from '../../lib/status.ts';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';

type Found = RecallView['devices'][number];

/** What was made from it, and where that runs. */
export function RecallDevices({ view }: { view: RecallView }): ReactNode {
  const versions = view.versions.map(({ model, version }) => `${model}:${version}`).join(', ');
  return (
    <>
      <p className="text-sm break-words text-ink-2">{versions === '' ? 'No version was made from it.' : `Made from it: ${versions}.`}</p>
      {view.devices.length > 0 ? (
        <div className="rounded-lg border border-line">
          <Table
            caption="Devices that run something made from it"
            columns={COLUMNS}
            rows={view.devices}
            keyOf={({ device, deployment, model, version }) => `${device} ${deployment} ${model}:${version}`}
            order={{ column: 'device', direction: 'ascending' }}
            pageSize={10}
          />
        </div>
      ) : (
        versions !== '' && (
          <p role="status" className="rounded-md border border-line bg-sunken px-3 py-2 text-sm">
            No device runs any of it now.
          </p>
        )
      )}
    </>
  );
}

const COLUMNS: readonly Column<Found>[] = [
  {
    id: 'device',
    head: 'Device',
    sort: ({ device }) => device,
    className: 'max-w-36 truncate sm:max-w-48',
    cell: ({ device }) => (
      <Link to="/devices/$name" params={{ name: device }} title={device} className="font-medium underline-offset-2 hover:underline">
        {device}
      </Link>
    ),
  },
  { id: 'link', head: 'Link', sort: ({ online }) => Number(online), cell: ({ online }) => <StatusBadge status={onlineStatus(online)} /> },
  {
    id: 'runs',
    head: 'Runs',
    sort: ({ model, version }) => `${model}:${version}`,
    className: 'max-w-40 truncate',
    cell: ({ model, version }) => (
      <span className="font-mono text-xs" title={`${model}:${version}`}>
        {model}:{version}
      </span>
    ),
  },
  {
    id: 'deployment',
    head: 'InferenceModel',
    from: 'sm',
    sort: ({ deployment }) => deployment,
    className: 'max-w-36 truncate',
    cell: ({ deployment }) => <span title={deployment}>{deployment}</span>,
  },
  {
    id: 'state',
    head: 'State',
    from: 'sm',
    sort: ({ state }) => state,
    cell: ({ state }) => <StatusBadge status={workloadStatus(state)} />,
  },
];

/** The rollouts that carry a recall out, as they get on. */
export function RecallOutcome({
  deployments,
}: {
  deployments: readonly { name: string; version: string; generation: number }[];
}): ReactNode {
  const rollouts = useList('Rollout');
  if (deployments.length === 0) return <p className="text-sm text-ink-2">Nothing was to be changed.</p>;
  return (
    <ul aria-live="polite" className="divide-y divide-line rounded-md border border-line">
      {deployments.map(({ name, version, generation }) => {
        const rollout = rolloutSince(rollouts.data ?? [], name, generation);
        return (
          <li key={name} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2 text-sm">
            <span className="min-w-0 break-words">
              <span className="font-medium">{name}</span> goes to version <span className="font-mono text-xs">{version}</span>
            </span>
            {rollout === undefined ? (
              <span className="text-ink-3 sm:ml-auto">its rollout begins …</span>
            ) : (
              <span className="flex flex-wrap items-center gap-2 sm:ml-auto">
                <StatusBadge status={rolloutStatus(rollout.status.phase)} />
                <span className="text-xs text-ink-2">
                  {rollout.status.devices.filter(({ state }) => state === 'passed').length} of{' '}
                  {plural(rollout.status.devices.length, 'device')}
                </span>
                <Link
                  to="/rollouts/$name"
                  params={{ name: rollout.metadata.name }}
                  className="font-medium text-accent underline-offset-2 hover:underline"
                >
                  {rollout.metadata.name}
                </Link>
              </span>
            )}
          </li>
        );
      })}
    </ul>
  );
}
