import type { CaStatus } from '@selvedge/contract';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { keys } from '../../lib/cache.ts';
import { plural } from '../../lib/format.ts';
import { useBackend } from '../../lib/queries.ts';
import { onlineStatus, type Status } from '../../lib/status.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CopyButton } from '../../ui/copy-button.tsx';
import { Progress } from '../../ui/progress.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { BeginRotationDialog, FinishRotationDialog } from './rotation-dialogs.tsx';

/** They are no resources, so no event tells of them. */
const ASK_EVERY_MS = 5_000;

type Authority = CaStatus['current'];
type Waiting = CaStatus['devices']['waiting'][number];

/** Who signs the certificates of devices, and how far a change of that has come. */
export function AuthoritiesCard(): ReactNode {
  const { client } = useBackend();
  const status = useQuery({
    queryKey: keys.caStatus,
    queryFn: ({ signal }) => client.getCaStatus({ signal }),
    refetchInterval: ASK_EVERY_MS,
  });
  const [asking, setAsking] = useState(false);
  const ca = status.data;
  return (
    <Card
      title="Certificate authorities"
      flush
      actions={
        ca !== undefined && (
          <Button size="sm" onClick={() => setAsking(true)}>
            {ca.next === null ? 'Begin rotation' : 'Finish rotation'}
          </Button>
        )
      }
    >
      <QueryView query={status} label="certificate authorities" rows={3}>
        {(data) => <Authorities status={data} />}
      </QueryView>
      {asking && ca?.next === null && <BeginRotationDialog devices={ca.devices.total} onClose={() => setAsking(false)} />}
      {asking && ca !== undefined && ca.next !== null && <FinishRotationDialog status={ca} onClose={() => setAsking(false)} />}
    </Card>
  );
}

function Authorities({ status }: { status: CaStatus }): ReactNode {
  const { current, next, retired } = status;
  return (
    <>
      <ul className="divide-y divide-line">
        <AuthorityItem authority={current} status={{ tone: 'ok', text: 'Current' }} />
        {next !== null && <AuthorityItem authority={next} status={{ tone: 'busy', text: 'Next' }} />}
        {retired.map((authority) => (
          <AuthorityItem key={authority.sha256} authority={authority} status={{ tone: 'idle', text: 'Retired' }} />
        ))}
      </ul>
      {next !== null && <Rotation status={status} />}
    </>
  );
}

function AuthorityItem({ authority, status }: { authority: Authority; status: Status }): ReactNode {
  const { name, sha256, notAfter } = authority;
  return (
    <li className="grid gap-1 px-4 py-2.5 text-sm">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <StatusBadge status={status} />
        <span className="min-w-0 truncate font-medium" title={name}>
          {name}
        </span>
        <span className="text-xs text-ink-2 sm:ml-auto">
          {status.text === 'Retired' ? 'its package signatures still hold, ' : ''}valid until {notAfter.slice(0, 10)}
        </span>
      </div>
      <p className="flex min-w-0 items-center gap-1 font-mono text-xs text-ink-2">
        <span className="truncate" title={sha256}>
          {sha256}
        </span>
        <CopyButton text={sha256} of={`the fingerprint of ${name}`} />
      </p>
    </li>
  );
}

function Rotation({ status }: { status: CaStatus }): ReactNode {
  const { total, ready, waiting } = status.devices;
  const unnamed = total - ready - waiting.length;
  return (
    <div className="border-t border-line">
      <div className="grid gap-1.5 px-4 py-3 text-sm" aria-live="polite">
        <p>
          {ready.toLocaleString('en')} of {plural(total, 'device')} ready for the next authority.{' '}
          <span className="text-ink-2">
            Devices follow as they are online.
            {status.tokens > 0 && ` ${plural(status.tokens, 'join token')} would end with the present one.`}
          </span>
        </p>
        <Progress value={total === 0 ? 1 : ready / total} label="Devices that are ready for the next authority" />
      </div>
      {waiting.length > 0 && (
        <div className="border-t border-line">
          <Table
            caption="Devices that are not ready"
            columns={WAITING}
            rows={waiting}
            keyOf={({ device }) => device}
            order={{ column: 'device', direction: 'ascending' }}
            pageSize={10}
          />
          {unnamed > 0 && <p className="px-4 pb-3 text-xs text-ink-2">and {unnamed.toLocaleString('en')} more</p>}
        </div>
      )}
    </div>
  );
}

const WAITING: readonly Column<Waiting>[] = [
  {
    id: 'device',
    head: 'Not ready',
    sort: ({ device }) => device,
    className: 'max-w-32 truncate sm:max-w-64',
    cell: ({ device }) => (
      <Link to="/devices/$name" params={{ name: device }} title={device} className="font-medium underline-offset-2 hover:underline">
        {device}
      </Link>
    ),
  },
  {
    id: 'link',
    head: 'State',
    from: 'sm',
    sort: ({ online }) => Number(online),
    cell: ({ online }) => <StatusBadge status={onlineStatus(online)} />,
  },
  {
    id: 'reason',
    head: 'Why',
    sort: ({ reason }) => reason,
    className: 'max-sm:whitespace-normal',
    cell: ({ online, reason }) => (
      <span className="text-ink-2">
        {!online && <span className="sm:hidden">offline, </span>}
        {reason}
      </span>
    ),
  },
];
