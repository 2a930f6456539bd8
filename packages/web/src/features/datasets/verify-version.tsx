import type { DatasetVersion } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { formatBytes } from '../../lib/format.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';

const LISTED = 10;

/** Reads every file of a version again, when asked to. */
export function VerifyVersion({ version }: { version: DatasetVersion }): ReactNode {
  const { client } = useBackend();
  const { dataset, version: number } = version.spec;
  const verify = useMutation({ mutationFn: () => client.verifyDataset({ params: { name: dataset, version: number } }) });
  const found = verify.data;
  return (
    <div className="mt-4 grid gap-2 text-sm" aria-live="polite">
      <div className="flex flex-wrap items-center gap-3">
        <Button size="sm" icon="check" disabled={verify.isPending || version.status.phase !== 'Ready'} onClick={() => verify.mutate()}>
          {verify.isPending ? 'Reading every file …' : 'Verify'}
        </Button>
        {found !== undefined && (
          <StatusBadge
            status={
              found.ok
                ? { tone: 'ok', text: `${found.files.toLocaleString('en')} files, ${formatBytes(found.sizeBytes)}, as they were` }
                : { tone: 'bad', text: `${found.broken.count} of ${found.files} files are not as they were` }
            }
          />
        )}
      </div>
      {verify.isError && <ErrorState error={verify.error} />}
      {found?.ok === false && (
        <ul className="grid gap-0.5">
          {found.broken.files.slice(0, LISTED).map(({ path, message }) => (
            <li key={path} className="break-words">
              {path}: {message}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
