import { type Package, ROUTES, routeUrl } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { formatBytes, formatMs } from '../../lib/format.ts';
import { useBackend } from '../../lib/queries.ts';
import { packageStatus } from '../../lib/status.ts';
import { buttonClasses, IconButton } from '../../ui/button.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Progress } from '../../ui/progress.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { useToasts } from '../../ui/toast.tsx';
import { MeasureDialog } from './measure-dialog.tsx';

/** Native packages of a model: what was built for which target, how large it is and how fast it was measured. */
export function PackageList({ packages }: { packages: readonly Package[] }): ReactNode {
  const [measuring, setMeasuring] = useState<string>();
  if (packages.length === 0) {
    return (
      <p className="px-4 py-6 text-center text-sm text-ink-2">
        None yet. Press Build to make an executable for a target; devices of that target then prefer it.
      </p>
    );
  }
  return (
    <>
      <ul className="divide-y divide-line">
        {packages.map((item) => (
          <PackageItem key={item.metadata.uid} item={item} onMeasure={() => setMeasuring(item.metadata.name)} />
        ))}
      </ul>
      {measuring !== undefined && <MeasureDialog name={measuring} onClose={() => setMeasuring(undefined)} />}
    </>
  );
}

function PackageItem({ item, onMeasure }: { item: Package; onMeasure: () => void }): ReactNode {
  const { name } = item.metadata;
  const { phase, engine, precision, archive, progress, message, notes, error } = item.status;
  return (
    <li className="px-4 py-3">
      <div className="flex items-start gap-2">
        <div className="min-w-0 flex-1">
          <p className="flex min-w-0 items-center gap-2">
            <span className="truncate text-sm font-medium" title={name}>
              {item.spec.target}
            </span>
            <StatusBadge status={packageStatus(phase)} />
          </p>
          <p className="mt-1 text-xs text-ink-2">
            version <span className="font-mono text-ink">{item.spec.version}</span>
            {engine !== null && precision !== null && ` · ${engine} ${precision}`}
            {archive !== null && ` · ${formatBytes(archive.sizeBytes)} to download`}
          </p>
        </div>
        {phase === 'Ready' && (
          <div className="-mr-2 flex">
            <IconButton icon="clock" label={`Measure ${name} on devices`} onClick={onMeasure} />
            <a
              href={routeUrl(ROUTES.downloadPackage, { params: { name } })}
              download={`${name}.tar.zst`}
              className={buttonClasses('quiet', 'sm')}
              title="Download the signed archive"
            >
              <Icon name="download" size={14} />
              <span className="sr-only">Download {name}</span>
            </a>
            <RemoveButton name={name} />
          </div>
        )}
        {phase === 'Failed' && <RemoveButton name={name} />}
      </div>
      {(phase === 'Building' || phase === 'Pending') && (
        <div className="mt-2 grid gap-1">
          <Progress value={progress} label={`Build of ${name}`} />
          <p className="text-xs text-ink-2">{message}</p>
        </div>
      )}
      {error !== null && (
        <p className="mt-2 text-xs break-words text-bad">{error.hint === undefined ? error.message : `${error.message} ${error.hint}`}</p>
      )}
      <Measurements item={item} />
      {notes.length > 0 && (
        <ul className="mt-2 grid gap-0.5 text-xs text-ink-2">
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </li>
  );
}

function Measurements({ item }: { item: Package }): ReactNode {
  const { benchmarks } = item.status;
  if (benchmarks.length === 0) return null;
  return (
    <table className="mt-2 w-full text-left text-xs">
      <caption className="sr-only">Measured on devices</caption>
      <thead className="text-ink-3">
        <tr>
          {['Device', 'p50', 'p99', 'Images/s', 'Memory', 'Cold start'].map((head, index) => (
            <th key={head} scope="col" className={index === 0 ? 'font-medium' : 'text-right font-medium'}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody className="tabular-nums">
        {benchmarks.map((row) => (
          <tr key={row.device}>
            <td className="max-w-32 truncate" title={row.cpuModel}>
              {row.device}
            </td>
            <td className="text-right">{formatMs(row.latencyMs.p50)}</td>
            <td className="text-right">{formatMs(row.latencyMs.p99)}</td>
            <td className="text-right">{row.imagesPerS.toFixed(row.imagesPerS < 10 ? 1 : 0)}</td>
            <td className="text-right">{formatBytes(row.rssBytes)}</td>
            <td className="text-right">{formatMs(row.coldStartMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function RemoveButton({ name }: { name: string }): ReactNode {
  const { client } = useBackend();
  const { say, fail } = useToasts();
  const remove = useMutation({
    mutationFn: () => client.deleteResource({ params: { plural: 'packages', name } }),
    onSuccess: () => say(`Package ${name} is removed; its devices go back to the model server.`),
    onError: fail,
  });
  return <IconButton icon="trash" label={`Remove package ${name}`} disabled={remove.isPending} onClick={() => remove.mutate()} />;
}
