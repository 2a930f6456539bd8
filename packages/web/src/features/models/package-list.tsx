import { API_VERSION, type Package, packageName, ROUTES, routeUrl } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { formatBytes } from '../../lib/format.ts';
import { useBackend } from '../../lib/queries.ts';
import { packageStatus } from '../../lib/status.ts';
import { Button, IconButton, iconButtonClasses } from '../../ui/button.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Progress } from '../../ui/progress.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { useToasts } from '../../ui/toast.tsx';
import { MeasureDialog } from './measure-dialog.tsx';
import { MeasurementTable } from './measurement-table.tsx';
import { PackageLogDialog } from './package-log-dialog.tsx';
import { RemovePackageDialog } from './remove-package-dialog.tsx';

type Action = 'measure' | 'log' | 'remove';

/** Native packages of a model: what was built for which target, how large it is and how fast it was measured. */
export function PackageList({ packages }: { packages: readonly Package[] }): ReactNode {
  const [opened, setOpened] = useState<{ name: string; action: Action }>();
  if (packages.length === 0) {
    return (
      <p className="px-4 py-6 text-center text-sm text-ink-2">
        None yet: devices run the model server. Press Build to make one executable per target, which its devices then prefer.
      </p>
    );
  }
  const close = () => setOpened(undefined);
  const item = packages.find(({ metadata }) => metadata.name === opened?.name);
  return (
    <>
      <ul className="divide-y divide-line">
        {packages.map((one) => (
          <PackageItem key={one.metadata.uid} item={one} onOpen={(action) => setOpened({ name: one.metadata.name, action })} />
        ))}
      </ul>
      {item !== undefined && opened?.action === 'measure' && <MeasureDialog item={item} onClose={close} />}
      {item !== undefined && opened?.action === 'log' && <PackageLogDialog item={item} onClose={close} />}
      {item !== undefined && opened?.action === 'remove' && <RemovePackageDialog name={item.metadata.name} onClose={close} />}
    </>
  );
}

function PackageItem({ item, onOpen }: { item: Package; onOpen: (action: Action) => void }): ReactNode {
  const { name } = item.metadata;
  const { phase, progress, message, notes, benchmarks } = item.status;
  return (
    <li className="grid gap-2 px-4 py-3">
      <div className="flex flex-wrap items-start gap-x-2 gap-y-1">
        <div className="min-w-0 flex-1 basis-52">
          <p className="flex min-w-0 items-center gap-2">
            <span className="truncate text-sm font-medium" title={name}>
              {item.spec.target}
            </span>
            <StatusBadge status={packageStatus(phase)} />
          </p>
          <Facts item={item} />
        </div>
        <Actions item={item} onOpen={onOpen} />
      </div>
      {(phase === 'Building' || phase === 'Pending') && (
        <div className="grid gap-1">
          <Progress value={progress} label={`Build of ${name}`} />
          <p className="text-xs text-ink-2 tabular-nums">{message === '' ? 'waits for the build tool' : message}</p>
        </div>
      )}
      {phase === 'Failed' && <Failed item={item} />}
      {notes.length > 0 && (
        <ul className="grid gap-0.5 text-xs break-words text-ink-2">
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      {benchmarks.length > 0 && <MeasurementTable rows={benchmarks} />}
    </li>
  );
}

function Facts({ item }: { item: Package }): ReactNode {
  const { engine, precision, archive, manifest } = item.status;
  const { name } = item.metadata;
  const { model, version, target, build } = item.spec;
  const unpacked = manifest?.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  return (
    <p className="mt-1 flex flex-wrap gap-x-3 text-xs text-ink-2">
      <span>
        version <span className="font-mono text-ink">{version}</span>
      </span>
      {name !== packageName(model, version, target, build?.precision) && <span className="font-mono break-all">{name}</span>}
      {engine !== null && precision !== null && (
        <span className="font-mono">
          {engine} {precision}
        </span>
      )}
      {archive !== null && (
        <span title={unpacked === undefined ? undefined : `${formatBytes(unpacked)} unpacked`}>
          {formatBytes(archive.sizeBytes)} to download
        </span>
      )}
    </p>
  );
}

/** What can be done with a package: a quick look needs no words, measuring is what one comes for. */
function Actions({ item, onOpen }: { item: Package; onOpen: (action: Action) => void }): ReactNode {
  const { name } = item.metadata;
  const { phase, artifact } = item.status;
  return (
    <div className="-mr-2 ml-auto flex items-center">
      {phase === 'Ready' && (
        <>
          <Button size="sm" variant="quiet" icon="clock" aria-label={`Measure ${name} on a device`} onClick={() => onOpen('measure')}>
            Measure
          </Button>
          <a
            href={routeUrl(ROUTES.downloadPackage, { params: { name } })}
            download={`${name}.tar.zst`}
            aria-label={`Download ${name}`}
            title="Download the signed archive"
            className={iconButtonClasses()}
          >
            <Icon name="download" />
          </a>
        </>
      )}
      {phase === 'Failed' && <TryAgain item={item} />}
      {artifact !== null && <IconButton icon="log" label={`Log of ${name}`} onClick={() => onOpen('log')} />}
      {phase !== 'Building' && <IconButton icon="trash" label={`Remove package ${name}`} onClick={() => onOpen('remove')} />}
    </div>
  );
}

function Failed({ item }: { item: Package }): ReactNode {
  const { error, message } = item.status;
  return (
    <div className="flex items-start gap-2 rounded-md border border-bad/40 bg-bad-soft px-3 py-2 text-sm">
      <Icon name="warning" size={14} className="mt-0.5 text-bad" />
      <div className="min-w-0 flex-1 break-words">
        <p>
          {error?.message ?? message} {error !== null && <span className="font-mono text-xs text-ink-2">{error.code}</span>}
        </p>
        {error?.hint !== undefined && <p className="text-ink-2">{error.hint}</p>}
      </div>
    </div>
  );
}

/** Applying the same again changes nothing, so what failed is taken away first. */
function TryAgain({ item }: { item: Package }): ReactNode {
  const { client } = useBackend();
  const { say, fail } = useToasts();
  const { name, labels, annotations } = item.metadata;
  const again = useMutation({
    mutationFn: async () => {
      await client.deleteResource({ params: { plural: 'packages', name } });
      const document = { apiVersion: API_VERSION, kind: 'Package' as const, metadata: { name, labels, annotations }, spec: item.spec };
      return client.apply({ body: { documents: [document] } });
    },
    onSuccess: () => say(`Package ${name} is built again.`, 'busy'),
    onError: fail,
  });
  return (
    <Button size="sm" busy={again.isPending} onClick={() => again.mutate()}>
      Try again<span className="sr-only"> to build {name}</span>
    </Button>
  );
}
