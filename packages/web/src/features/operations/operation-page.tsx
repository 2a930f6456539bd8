import type { Operation, OperationDevice } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { formatDateTime } from '../../lib/format.ts';
import { deviceShare, operationStatus, resultText, taskText } from '../../lib/operations.ts';
import { useBackend, useResource } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { Page } from '../../ui/page.tsx';
import { Progress } from '../../ui/progress.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';

/** One operation: what was asked by whom, and what came of it on each device. */
export function OperationPage(): ReactNode {
  const { name } = useParams({ from: '/shell/operations/$name' });
  const { client } = useBackend();
  const operation = useResource('Operation', name);
  const cancel = useMutation({ mutationFn: () => client.cancelOperation({ params: { name } }) });
  return (
    <Page
      title={operation.data === undefined ? name : taskText(operation.data.spec.task)}
      trail={
        <Link to="/operations" className="hover:underline">
          Operations
        </Link>
      }
      beside={operation.data !== undefined && <StatusBadge status={operationStatus(operation.data.status.state)} />}
      actions={
        <>
          <CliHint commands={[`selvedge operation watch ${name}`, `selvedge operation cancel ${name}`]} />
          {operation.data?.status.finishedAt === null && (
            <Button icon="stop" disabled={cancel.isPending} onClick={() => cancel.mutate()}>
              Cancel
            </Button>
          )}
        </>
      }
    >
      <QueryView query={operation} label={`operation ${name}`} rows={6}>
        {(data) => <OperationDetail operation={data} />}
      </QueryView>
    </Page>
  );
}

function OperationDetail({ operation }: { operation: Operation }): ReactNode {
  const { metadata, spec, status } = operation;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.6fr)_minmax(0,1fr)]">
      <Card title="Devices" flush>
        <ul className="divide-y divide-line">
          {status.devices.map((one) => (
            <DeviceItem key={one.device} one={one} />
          ))}
        </ul>
      </Card>
      <Card title="Operation">
        <KeyValue
          items={[
            ['Asked', <RelativeTime key="asked" at={metadata.createdAt} />],
            ['By', spec.by],
            ['Of', spec.target],
            ['At one time', `${spec.parallel}`],
            ['Begins until', formatDateTime(Date.parse(spec.expiresAt))],
            ...(status.cancelledBy === null ? [] : ([['Cancelled by', status.cancelledBy]] as const)),
          ]}
        />
      </Card>
    </div>
  );
}

function DeviceItem({ one }: { one: OperationDevice }): ReactNode {
  const share = deviceShare(one);
  return (
    <li className="grid gap-1.5 px-4 py-2.5 text-sm">
      <div className="flex min-w-0 items-center gap-3">
        <Link to="/devices/$name" params={{ name: one.device }} className="min-w-0 truncate font-medium underline-offset-2 hover:underline">
          {one.device}
        </Link>
        <StatusBadge status={operationStatus(one.state)} className="ml-auto" />
      </div>
      {one.state === 'running' && share !== undefined && <Progress value={share} label={`${one.device} ${Math.round(share * 100)} %`} />}
      <p className={one.error === null ? 'text-xs text-ink-2' : 'text-xs text-bad'}>{resultText(one)}</p>
      {one.output !== '' && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by the keyboard
        <pre tabIndex={0} className="max-h-60 overflow-auto rounded-md bg-sunken p-2.5 font-mono text-xs whitespace-pre-wrap">
          {one.output}
        </pre>
      )}
    </li>
  );
}
