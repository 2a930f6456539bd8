import { type Bundle, bundleState, nameSchema, ROUTES, routeUrl } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useNow } from '../../lib/clock.ts';
import { formatBytes, formatDateTime, plural } from '../../lib/format.ts';
import { useBackend, useList } from '../../lib/queries.ts';
import type { Status } from '../../lib/status.ts';
import { Button, buttonClasses, iconButtonClasses } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { Icon } from '../../ui/icon.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';

const LIFETIMES = [
  { expiresInS: 7 * 86_400, text: '7 days', flag: '7d' },
  { expiresInS: 30 * 86_400, text: '30 days', flag: '30d' },
  { expiresInS: 366 * 86_400, text: 'a year', flag: '366d' },
] as const;
const SHOWN = 5;

export interface BundleDialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  /** For this one alone; otherwise it is asked for which. */
  device?: string;
}

/** Makes a file by which devices are updated that no network leads to, and takes what they have said on a stick. */
export function BundleDialog({ open, onOpenChange, device }: BundleDialogProps): ReactNode {
  const { client } = useBackend();
  const [query, setQuery] = useState('');
  const [expiresInS, setExpiresInS] = useState<number>(LIFETIMES[1].expiresInS);
  const target = device ?? query.trim();
  const make = useMutation({
    mutationFn: () => {
      const chosen = nameSchema.safeParse(target).success ? { devices: [target] } : { selector: target };
      return client.createBundle({ body: { ...chosen, expiresInS } });
    },
  });
  const change = (next: boolean) => {
    if (!next) make.reset();
    onOpenChange(next);
  };
  const flag = LIFETIMES.find((one) => one.expiresInS === expiresInS)?.flag ?? '30d';
  return (
    <Dialog
      open={open}
      onOpenChange={change}
      wide
      title={device === undefined ? 'Export bundle' : `Export bundle for ${device}`}
      description="One signed file with what devices are to run and all that they need for it. Carry it there on a stick; their results come back the same way."
      footer={
        <>
          <Button onClick={() => change(false)}>Close</Button>
          <Button variant="primary" icon="download" busy={make.isPending} disabled={target === ''} onClick={() => make.mutate()}>
            Make bundle
          </Button>
        </>
      }
    >
      <div className="grid gap-3 pb-2">
        <div className="grid gap-x-4 gap-y-2 sm:grid-cols-2">
          {device === undefined && (
            <TextField
              label="Devices"
              value={query}
              placeholder="site=plant-3"
              onChange={(event) => setQuery(event.target.value)}
              hint="A name, labels, or @group."
            />
          )}
          <SelectField label="Devices take it for" value={expiresInS} onChange={(event) => setExpiresInS(Number(event.target.value))}>
            {LIFETIMES.map((one) => (
              <option key={one.flag} value={one.expiresInS}>
                {one.text}
              </option>
            ))}
          </SelectField>
        </div>
        {make.data !== undefined && <Made bundle={make.data} />}
        {make.isError && <ErrorState error={make.error} />}
        <CodeBlock
          code={`selvedge bundle export --for ${target === '' ? 'site=plant-3' : target} --expires ${flag} -o bundle.tar`}
          label="The same from a terminal"
        />
        <BundleList device={device} />
        <ResultsInput />
      </div>
    </Dialog>
  );
}

function Made({ bundle }: { bundle: Bundle }): ReactNode {
  const { name } = bundle.metadata;
  const { devices, sizeBytes, expiresAt } = bundle.spec;
  return (
    <div role="status" className="flex flex-wrap items-center gap-3 rounded-lg border border-line bg-sunken px-4 py-3 text-sm">
      <p className="min-w-0">
        For {plural(devices.length, 'device')}, {formatBytes(sizeBytes)}, until {formatDateTime(Date.parse(expiresAt))}.
      </p>
      <a href={routeUrl(ROUTES.downloadBundle, { params: { name } })} download={`${name}.tar`} className={`${buttonClasses()} ml-auto`}>
        <Icon name="download" size={15} />
        Download
      </a>
    </div>
  );
}

function bundleStatus(bundle: Bundle, nowMs: number): Status {
  const state = bundleState(bundle, nowMs);
  const tones = { pending: 'busy', returned: 'ok', revoked: 'bad', void: 'bad', expired: 'idle' } as const;
  return { tone: tones[state], text: state.charAt(0).toUpperCase() + state.slice(1) };
}

/** The newest bundles. */
function BundleList({ device }: { device: string | undefined }): ReactNode {
  const { client } = useBackend();
  const now = useNow(60_000);
  const all = useList('Bundle');
  const revoke = useMutation({ mutationFn: (name: string) => client.revokeBundle({ params: { name } }) });
  const bundles = (all.data ?? [])
    .filter(({ spec }) => device === undefined || spec.devices.some((one) => one.device === device))
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? 1 : -1))
    .slice(0, SHOWN);
  if (bundles.length === 0) return null;
  return (
    <section aria-label="Bundles" className="grid gap-1">
      <h3 className="text-sm font-medium">Bundles made before</h3>
      <ul className="divide-y divide-line rounded-lg border border-line">
        {bundles.map((bundle) => {
          const { name, createdAt } = bundle.metadata;
          const isUsable = ['pending', 'returned'].includes(bundleState(bundle, now));
          return (
            <li key={name} className="flex min-w-0 items-center gap-2 px-3 py-1.5 text-sm">
              <span className="min-w-0 flex-1 truncate" title={name}>
                {bundle.spec.target}
                <span className="ml-2 text-xs text-ink-3">
                  {bundle.spec.by}, <RelativeTime at={createdAt} />
                </span>
              </span>
              <StatusBadge status={bundleStatus(bundle, now)} />
              {isUsable && (
                <>
                  <a
                    href={routeUrl(ROUTES.downloadBundle, { params: { name } })}
                    download={`${name}.tar`}
                    aria-label={`Download ${name}`}
                    className={iconButtonClasses()}
                  >
                    <Icon name="download" />
                  </a>
                  <Button size="sm" variant="danger" aria-label={`Revoke ${name}`} onClick={() => revoke.mutate(name)}>
                    Revoke
                  </Button>
                </>
              )}
            </li>
          );
        })}
      </ul>
      {revoke.isError && <ErrorState error={revoke.error} />}
    </section>
  );
}

const SAID = {
  taken: 'its state is taken over',
  known: 'known already',
  older: 'something newer is known, so its state is not taken over',
  none: 'its agent has not reported yet',
} as const;

/** Takes a file of results. */
function ResultsInput(): ReactNode {
  const { client } = useBackend();
  const take = useMutation({ mutationFn: (file: File) => client.importResults({ upload: file }) });
  return (
    <div className="grid gap-1">
      <label className="grid gap-1 text-sm font-medium">
        Results that came back
        <input
          type="file"
          disabled={take.isPending}
          className="text-sm font-normal text-ink-2 file:mr-3 file:h-8 file:cursor-pointer file:rounded-md file:border file:border-solid file:border-line file:bg-surface file:px-3 file:text-sm file:font-medium file:text-ink"
          onChange={(event) => {
            const [file] = event.target.files ?? [];
            if (file !== undefined) take.mutate(file);
          }}
        />
      </label>
      <p aria-live="polite" className="min-h-4 text-xs text-ink-2">
        {take.data !== undefined && `${take.data.device}: ${SAID[take.data.state]}, ${plural(take.data.samples, 'sample')}.`}
      </p>
      {take.isError && <ErrorState error={take.error} />}
    </div>
  );
}
