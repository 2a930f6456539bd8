import { type Package, ROUTES, routeUrl } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { usePackageLog } from '../../lib/log.ts';
import { packageStatus } from '../../lib/status.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { LogView } from '../../ui/log-view.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';

/** The log of a package's build: grows while it is built. */
export function PackageLogDialog({ item, onClose }: { item: Package; onClose: () => void }): ReactNode {
  const { name } = item.metadata;
  const log = usePackageLog(name, `${item.metadata.uid} ${item.metadata.generation}`);
  const downloadUrl = routeUrl(ROUTES.getPackageLog, { params: { name } });
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title="Log of the build"
      description={
        <span className="flex min-w-0 flex-wrap items-center gap-x-2 gap-y-1">
          <span className="min-w-0 break-words">{name}</span>
          <StatusBadge status={packageStatus(item.status.phase)} />
        </span>
      }
    >
      <div className="mb-3 overflow-hidden rounded-md border border-line">
        {log.phase === 'broken' && <ErrorState error={log.error} />}
        <LogView label={`Log of ${name}`} lines={log.lines} phase={log.phase} dropped={log.dropped} downloadUrl={downloadUrl} />
      </div>
    </Dialog>
  );
}
