import type { DeviceStatus } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { formatBytes, plural } from '../../lib/format.ts';
import { workloadStatus } from '../../lib/status.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Progress } from '../../ui/progress.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';

type Workload = DeviceStatus['workloads'][number];

/** What runs on a device: the version that answers now, the one that is wanted, and why they differ. */
export function WorkloadList({ workloads }: { workloads: readonly Workload[] }): ReactNode {
  if (workloads.length === 0) {
    return (
      <EmptyState icon="deployment" title="Nothing runs here" command="selvedge apply -f inference-model.yaml">
        Deploy a model with a label selector that this device matches.
      </EmptyState>
    );
  }
  return (
    <ul className="divide-y divide-line">
      {workloads.map((workload) => (
        <WorkloadItem key={workload.name} workload={workload} />
      ))}
    </ul>
  );
}

function WorkloadItem({ workload }: { workload: Workload }): ReactNode {
  const { name, model, servingVersion, desiredVersion, previousVersion, state, port, progress, error, restarts, servingSince } = workload;
  const { runtime, nativeError } = workload;
  return (
    <li className="grid gap-2 px-4 py-3 text-sm">
      <div className="flex items-center gap-3">
        <Link
          to="/models/$name"
          params={{ name: model }}
          title={name}
          className="min-w-0 truncate font-medium underline-offset-2 hover:underline"
        >
          {name}
        </Link>
        <StatusBadge status={workloadStatus(state)} />
        {port !== null && <span className="ml-auto font-mono text-xs text-ink-3">port {port}</span>}
      </div>
      <p className="flex flex-wrap gap-x-4 gap-y-0.5 text-ink-2">
        <span>
          serves <span className="font-mono text-xs text-ink">{servingVersion === null ? 'nothing' : `${model}/${servingVersion}`}</span>
        </span>
        {runtime !== undefined && (
          <span>
            with <span className="font-mono text-xs text-ink">{runtime}</span>
          </span>
        )}
        {servingSince !== null && (
          <span>
            since <RelativeTime at={servingSince} />
          </span>
        )}
        {desiredVersion !== servingVersion && (
          <span>
            wanted <span className="font-mono text-xs text-ink">{desiredVersion}</span>
          </span>
        )}
        {previousVersion !== null && (
          <span>
            kept <span className="font-mono text-xs text-ink">{previousVersion}</span>
          </span>
        )}
        {restarts > 0 && <span>{plural(restarts, 'restart')}</span>}
      </p>
      {nativeError != null && (
        <p className="text-xs break-words text-warn">
          The native package does not serve: {nativeError.message} <span className="font-mono">{nativeError.code}</span>
        </p>
      )}
      {progress !== null && (
        <div className="flex items-center gap-3 text-xs text-ink-2 tabular-nums">
          <Progress
            className="flex-1"
            value={progress.totalBytes === 0 ? 0 : progress.doneBytes / progress.totalBytes}
            label={`Download of ${name}`}
          />
          {formatBytes(progress.doneBytes)} of {formatBytes(progress.totalBytes)}
        </div>
      )}
      {error !== null && (
        <div className="flex items-start gap-2 rounded-md border border-bad/40 bg-bad-soft px-3 py-2">
          <Icon name="warning" size={14} className="mt-0.5 text-bad" />
          <p className="min-w-0 flex-1 break-words">
            {error.message} <span className="font-mono text-xs text-ink-2">{error.code}</span>
          </p>
          <span className="shrink-0 text-xs leading-5 text-ink-2">
            <RelativeTime at={error.at} />
          </span>
        </div>
      )}
    </li>
  );
}
