import { type Device, linkSeconds } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { formatShare } from '../../lib/format.ts';
import { useList } from '../../lib/queries.ts';
import { deviceStatus } from '../../lib/status.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { SearchInput } from '../../ui/field.tsx';
import { Icon } from '../../ui/icon.tsx';
import { LabelList } from '../../ui/label-list.tsx';
import { NameLink } from '../../ui/name-link.tsx';
import { Page } from '../../ui/page.tsx';
import { Meter } from '../../ui/progress.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { Segmented } from '../../ui/segmented.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { AddDeviceDialog } from './add-device-dialog.tsx';
import { BundleDialog } from './bundle-dialog.tsx';
import { LinkQuality } from './link-quality.tsx';
import { PendingJoins } from './pending-joins.tsx';

type Filter = 'all' | 'online' | 'offline' | 'trouble';

const FILTERS: Record<Filter, (device: Device) => boolean> = {
  all: () => true,
  online: (device) => device.status.online,
  offline: (device) => !device.status.online,
  trouble: (device) => ['bad', 'warn'].includes(deviceStatus(device).tone),
};

/** The fleet as a table, and the door by which devices come in. */
export function DevicesPage(): ReactNode {
  const devices = useList('Device');
  const [adding, setAdding] = useState(false);
  const [bundling, setBundling] = useState(false);
  return (
    <Page
      title="Devices"
      actions={
        <>
          <Link to="/devices/joining" className="text-sm text-ink-2 underline-offset-2 hover:underline">
            Joining
          </Link>
          <Link to="/operations" className="text-sm text-ink-2 underline-offset-2 hover:underline">
            Operations
          </Link>
          <CliHint commands={['selvedge device list', 'selvedge device token', 'selvedge device pending']} />
          <Button icon="download" onClick={() => setBundling(true)}>
            Export bundle
          </Button>
          <Button variant="primary" icon="plus" onClick={() => setAdding(true)}>
            Add device
          </Button>
        </>
      }
    >
      <div className="mb-4 empty:hidden">
        <PendingJoins />
      </div>
      <Card flush>
        <QueryView query={devices} label="devices" rows={6}>
          {(list) => (list.length === 0 ? <NoDevice onAdd={() => setAdding(true)} /> : <DeviceTable devices={list} />)}
        </QueryView>
      </Card>
      <AddDeviceDialog open={adding} onOpenChange={setAdding} />
      <BundleDialog open={bundling} onOpenChange={setBundling} />
    </Page>
  );
}

function NoDevice({ onAdd }: { onAdd: () => void }): ReactNode {
  return (
    <EmptyState
      icon="device"
      title="No device has joined"
      command="selvedge device token"
      action={
        <Button variant="primary" icon="plus" onClick={onAdd}>
          Add device
        </Button>
      }
    >
      A device joins with a token, makes its own key, and needs no open port.
    </EmptyState>
  );
}

function DeviceTable({ devices }: { devices: readonly Device[] }): ReactNode {
  const [filter, setFilter] = useState<Filter>('all');
  const [search, setSearch] = useState('');
  const wanted = search.trim().toLowerCase();
  const shown = devices.filter((device) => FILTERS[filter](device) && (wanted === '' || textOf(device).includes(wanted)));
  const count = (id: Filter) => devices.filter(FILTERS[id]).length;
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2.5">
        <SearchInput label="Search name, label, version" value={search} onChange={(event) => setSearch(event.target.value)} />
        <Segmented
          label="Which devices"
          value={filter}
          onChange={setFilter}
          options={[
            { id: 'all', text: 'All', count: devices.length },
            { id: 'online', text: 'Online', count: count('online') },
            { id: 'offline', text: 'Offline', count: count('offline') },
            { id: 'trouble', text: 'Trouble', count: count('trouble') },
          ]}
        />
      </div>
      {shown.length === 0 ? (
        <p role="status" className="px-4 py-10 text-center text-sm text-ink-3">
          No device matches.
        </p>
      ) : (
        <Table
          caption="Devices"
          columns={COLUMNS}
          rows={shown}
          keyOf={(device) => device.metadata.uid}
          order={{ column: 'name', direction: 'ascending' }}
        />
      )}
    </>
  );
}

function textOf(device: Device): string {
  const { name, labels } = device.metadata;
  const served = device.status.workloads.map((workload) => `${workload.model}/${workload.servingVersion ?? ''}`);
  return [name, ...Object.entries(labels).map((pair) => pair.join('=')), ...served].join(' ').toLowerCase();
}

function memoryShare(device: Device): number | null {
  const sample = device.status.telemetry;
  if (sample === null || sample.memoryUsedBytes === null || !sample.memoryTotalBytes) return null;
  return sample.memoryUsedBytes / sample.memoryTotalBytes;
}

function shareText(share: number | null): string {
  return share === null ? '–' : formatShare(share, 0);
}

const COLUMNS: readonly Column<Device>[] = [
  {
    id: 'name',
    head: 'Name',
    sort: (device) => device.metadata.name,
    className: 'max-w-44 sm:max-w-48',
    cell: (device) => <NameLink to="/devices/$name" name={device.metadata.name} />,
  },
  {
    id: 'state',
    head: 'State',
    sort: (device) => deviceStatus(device).text,
    cell: (device) => <StatusBadge status={deviceStatus(device)} />,
  },
  { id: 'labels', head: 'Labels', from: 'lg', cell: (device) => <LabelList labels={device.metadata.labels} limit={1} oneLine /> },
  {
    id: 'serving',
    head: 'Serves',
    sort: (device) => device.status.workloads[0]?.servingVersion ?? null,
    className: 'max-w-48',
    cell: (device) => <Serves device={device} />,
  },
  {
    id: 'link',
    head: 'Link',
    from: 'lg',
    sort: ({ status }) => (status.upkeep?.link === undefined ? null : linkSeconds(status.upkeep.link)),
    cell: ({ status }) => <LinkQuality link={status.upkeep?.link} />,
  },
  {
    id: 'cpu',
    head: 'CPU',
    from: 'md',
    first: 'descending',
    sort: (device) => device.status.telemetry?.cpu ?? null,
    cell: (device) => <Meter share={device.status.telemetry?.cpu ?? null} text={shareText(device.status.telemetry?.cpu ?? null)} />,
  },
  {
    id: 'memory',
    head: 'Memory',
    from: 'md',
    first: 'descending',
    sort: memoryShare,
    cell: (device) => <Meter share={memoryShare(device)} text={shareText(memoryShare(device))} />,
  },
  {
    id: 'temperature',
    head: 'Temp.',
    align: 'right',
    from: '2xl',
    first: 'descending',
    sort: (device) => device.status.telemetry?.temperatureC ?? null,
    cell: (device) => {
      const celsius = device.status.telemetry?.temperatureC ?? null;
      return celsius === null ? <span className="text-ink-3">–</span> : `${celsius.toFixed(0)} °C`;
    },
  },
  {
    id: 'seen',
    head: 'Last seen',
    align: 'right',
    from: 'sm',
    first: 'descending',
    sort: (device) => device.status.lastSeenAt,
    cell: (device) => <RelativeTime at={device.status.lastSeenAt} />,
  },
];

function Serves({ device }: { device: Device }): ReactNode {
  const { workloads } = device.status;
  const [first] = workloads;
  if (first === undefined) return <span className="text-ink-3">nothing</span>;
  const text = first.servingVersion === null ? `${first.model} (${first.state})` : `${first.model}/${first.servingVersion}`;
  const more = workloads.length > 1 ? ` +${workloads.length - 1}` : '';
  const error = workloads.find((workload) => workload.error !== null)?.error;
  return (
    <span className="flex min-w-0 items-center gap-1.5" title={error?.message ?? text}>
      <span className="truncate font-mono text-xs">{text + more}</span>
      {error != null && (
        <>
          <Icon name="warning" size={13} className="text-warn" />
          <span className="sr-only">with an error: {error.message}</span>
        </>
      )}
    </span>
  );
}
