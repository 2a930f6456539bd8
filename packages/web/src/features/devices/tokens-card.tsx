import type { DeviceTokenFacts } from '@selvedge/contract';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { keys } from '../../lib/cache.ts';
import { plural } from '../../lib/format.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { LabelList } from '../../ui/label-list.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { useToasts } from '../../ui/toast.tsx';

/** They are no resources, so no event tells of them. */
const ASK_EVERY_MS = 10_000;

/** Join tokens that have not expired; their secrets are not known any more. */
export function TokensCard({ onNew }: { onNew: () => void }): ReactNode {
  const { client } = useBackend();
  const tokens = useQuery({
    queryKey: keys.deviceTokens,
    queryFn: ({ signal }) => client.listDeviceTokens({ signal }),
    refetchInterval: ASK_EVERY_MS,
  });
  const [revoking, setRevoking] = useState<DeviceTokenFacts>();
  return (
    <Card title="Join tokens" flush>
      <QueryView query={tokens} label="join tokens" rows={3}>
        {({ items }) =>
          items.length === 0 ? (
            <EmptyState
              icon="device"
              title="No join token"
              command="selvedge device token"
              action={
                <Button variant="primary" icon="plus" onClick={onNew}>
                  New token
                </Button>
              }
            >
              A token lets an agent join once or several times, until it expires.
            </EmptyState>
          ) : (
            <Table
              caption="Tokens that have not expired"
              columns={columnsOf(setRevoking)}
              rows={items}
              keyOf={({ id }) => id}
              order={{ column: 'expires', direction: 'ascending' }}
            />
          )
        }
      </QueryView>
      {revoking !== undefined && <RevokeDialog token={revoking} onClose={() => setRevoking(undefined)} />}
    </Card>
  );
}

function columnsOf(onRevoke: (token: DeviceTokenFacts) => void): readonly Column<DeviceTokenFacts>[] {
  return [
    {
      id: 'id',
      head: 'Token',
      sort: ({ id }) => id,
      cell: ({ id, expiresAt }) => (
        <>
          <span className="font-mono text-xs">{id}</span>
          <span className="block text-xs text-ink-3 sm:hidden">
            expires <RelativeTime at={expiresAt} />
          </span>
        </>
      ),
    },
    {
      id: 'uses',
      head: 'Left',
      align: 'right',
      first: 'descending',
      sort: ({ usesLeft }) => usesLeft,
      cell: ({ uses, usesLeft }) => (
        <span className={usesLeft === 0 ? 'text-ink-3' : ''}>
          {usesLeft.toLocaleString('en')}
          <span className="sr-only"> uses left of </span>
          <span aria-hidden="true">/</span>
          {uses.toLocaleString('en')}
        </span>
      ),
    },
    {
      id: 'expires',
      head: 'Expires',
      from: 'sm',
      sort: ({ expiresAt }) => expiresAt,
      cell: ({ expiresAt }) => <RelativeTime at={expiresAt} />,
    },
    {
      id: 'made',
      head: 'Made',
      from: 'md',
      first: 'descending',
      sort: ({ createdAt }) => createdAt,
      cell: ({ createdAt }) => <RelativeTime at={createdAt} missing="unknown" />,
    },
    { id: 'labels', head: 'Labels', from: 'xl', cell: ({ labels }) => <LabelList labels={labels} limit={2} oneLine /> },
    { id: 'approve', head: 'Approval', from: 'sm', cell: ({ approve }) => (approve ? 'needed' : <span className="text-ink-3">no</span>) },
    { id: 'lasting', head: 'Works', from: 'md', cell: (token) => <Lasting token={token} /> },
    {
      id: 'actions',
      head: 'Actions',
      align: 'right',
      cell: (token) => (
        <Button size="sm" icon="trash" onClick={() => onRevoke(token)}>
          <span className="max-sm:sr-only">Revoke</span>
          <span className="sr-only">token {token.id}</span>
        </Button>
      ),
    },
  ];
}

/** A token names the authority that signs; one of the present authority ends with it. */
function Lasting({ token }: { token: DeviceTokenFacts }): ReactNode {
  if (token.usesLeft === 0) return <span className="text-ink-3">used up</span>;
  if (token.lasting) return 'until it expires';
  return <StatusBadge status={{ tone: 'warn', text: 'until the rotation ends' }} />;
}

function RevokeDialog({ token, onClose }: { token: DeviceTokenFacts; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const cache = useQueryClient();
  const { say } = useToasts();
  const { id, usesLeft } = token;
  const revoke = useMutation({
    mutationFn: () => client.revokeDeviceToken({ params: { id } }),
    onSuccess: () => {
      onClose();
      say(`Token ${id} is revoked.`);
    },
    onSettled: () =>
      Promise.all([keys.deviceTokens, keys.deviceJoins, keys.caStatus].map((queryKey) => cache.invalidateQueries({ queryKey }))),
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Revoke token ${id}?`}
      description={`${plural(usesLeft, 'device')} could still join with it. Devices that wait with it are refused; devices that have joined stay.`}
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button variant="danger" icon="trash" busy={revoke.isPending} onClick={() => revoke.mutate()}>
            Revoke token
          </Button>
        </>
      }
    >
      <div className="pb-2">
        <CodeBlock code={`selvedge device token revoke ${id}`} label="The same from a terminal" />
        {revoke.isError && <ErrorState error={revoke.error} />}
      </div>
    </Dialog>
  );
}
