import type { DeviceJoin } from '@selvedge/contract';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { keys } from '../../lib/cache.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CopyButton } from '../../ui/copy-button.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { LabelList } from '../../ui/label-list.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';

/** They are no resources, so no event tells of them. */
const ASK_EVERY_MS = 5_000;

/** Devices that wait for approval; nothing at all while none does. */
export function PendingJoins(): ReactNode {
  const { client } = useBackend();
  const joins = useQuery({
    queryKey: keys.deviceJoins,
    queryFn: ({ signal }) => client.listDeviceJoins({ signal }),
    refetchInterval: ASK_EVERY_MS,
  });
  const items = joins.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <Card title="Waiting for approval" flush>
      <p className="px-4 pt-1 text-sm text-ink-2">The agent on the device shows the same key: compare them before you approve.</p>
      <ul className="divide-y divide-line">
        {items.map((join) => (
          <li key={join.keySha256}>
            <PendingJoin join={join} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function PendingJoin({ join }: { join: DeviceJoin }): ReactNode {
  const { client } = useBackend();
  const cache = useQueryClient();
  const { name, keySha256, address, labels, requestedAt, state } = join;
  const decide = useMutation({
    mutationFn: async (approved: boolean) => {
      if (approved) await client.approveDeviceJoin({ params: { name } });
      else await client.rejectDeviceJoin({ params: { name } });
    },
    onSettled: () => cache.invalidateQueries({ queryKey: keys.deviceJoins }),
  });
  return (
    <div className="grid gap-2 px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-44">
          <p className="truncate font-medium" title={name}>
            {name}
          </p>
          <p className="text-xs text-ink-3">
            from {address}, <RelativeTime at={requestedAt} />
          </p>
        </div>
        <LabelList labels={labels} limit={4} />
        {state === 'approved' ? (
          <span className="text-sm text-ink-2">approved; the device has not come back yet</span>
        ) : (
          <span className="flex gap-2">
            <Button variant="primary" icon="check" busy={decide.isPending} onClick={() => decide.mutate(true)}>
              Approve<span className="sr-only"> {name}</span>
            </Button>
            <Button icon="cross" disabled={decide.isPending} onClick={() => decide.mutate(false)}>
              Reject<span className="sr-only"> {name}</span>
            </Button>
          </span>
        )}
      </div>
      <p className="flex min-w-0 items-center gap-1 font-mono text-xs text-ink-2">
        <span className="truncate" title={keySha256}>
          {keySha256}
        </span>
        <CopyButton text={keySha256} of={`the key of ${name}`} />
      </p>
      {decide.isError && <ErrorState error={decide.error} />}
    </div>
  );
}
