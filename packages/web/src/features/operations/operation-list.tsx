import type { Operation } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { plural } from '../../lib/format.ts';
import { deviceShare, newestFirst, operationShare, operationStatus, resultText, taskText } from '../../lib/operations.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Progress } from '../../ui/progress.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';

/** Operations, the newest first: who asked what, and how it stands. With a device, as it is there. */
export function OperationList({
  operations,
  device,
  limit = 200,
}: {
  operations: readonly Operation[];
  device?: string;
  limit?: number;
}): ReactNode {
  if (operations.length === 0) {
    return (
      <EmptyState icon="terminal" title="Nothing was asked" command={`selvedge device push ${device ?? 'DEVICE'} FILE DESTINATION`}>
        Files and commands that are sent to devices are recorded here, with who asked.
      </EmptyState>
    );
  }
  return (
    <ul className="divide-y divide-line">
      {newestFirst(operations)
        .slice(0, limit)
        .map((operation) => (
          <OperationItem key={operation.metadata.uid} operation={operation} device={device} />
        ))}
    </ul>
  );
}

function OperationItem({ operation, device }: { operation: Operation; device: string | undefined }): ReactNode {
  const { metadata, spec, status } = operation;
  const here = status.devices.find((one) => one.device === device);
  const text = taskText(spec.task);
  const succeeded = status.devices.filter(({ state }) => state === 'succeeded').length;
  return (
    <li className="grid grid-cols-1 gap-1.5 px-4 py-2.5 text-sm">
      <div className="flex min-w-0 items-center gap-3">
        <Link
          to="/operations/$name"
          params={{ name: metadata.name }}
          title={text}
          className="min-w-0 truncate font-medium underline-offset-2 hover:underline"
        >
          {text}
        </Link>
        <StatusBadge status={operationStatus(here?.state ?? status.state)} className="ml-auto" />
      </div>
      {(here ?? status).finishedAt === null && (
        <Progress value={here === undefined ? operationShare(operation) : (deviceShare(here) ?? 0)} label={text} />
      )}
      <p className="flex flex-wrap gap-x-4 gap-y-0.5 text-xs text-ink-2">
        <span>
          {spec.by}, <RelativeTime at={metadata.createdAt} />
        </span>
        {device === undefined && (
          <span className="min-w-0 truncate">{`${spec.target} (${succeeded} of ${plural(status.devices.length, 'device')})`}</span>
        )}
        {here !== undefined && <span className="min-w-0 truncate">{resultText(here)}</span>}
      </p>
    </li>
  );
}
