import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { keys } from '../../lib/cache.ts';
import { formatDateTime, plural } from '../../lib/format.ts';
import { parseSelector } from '../../lib/labels.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';

const LIFETIMES = [
  { ttlS: 900, text: '15 minutes', flag: '15m' },
  { ttlS: 3600, text: '1 hour', flag: '1h' },
  { ttlS: 86_400, text: '1 day', flag: '1d' },
  { ttlS: 604_800, text: '7 days', flag: '7d' },
  { ttlS: 2_592_000, text: '30 days', flag: '30d' },
] as const;
const MAX_USES = 100_000;

/** Makes a join token and shows the command to run on the device. The token is shown once and not kept. */
export function AddDeviceDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }): ReactNode {
  const { client } = useBackend();
  const cache = useQueryClient();
  const [ttlS, setTtlS] = useState<number>(3600);
  const [uses, setUses] = useState(1);
  const [labelText, setLabelText] = useState('');
  const [approve, setApprove] = useState(false);
  const selection = parseSelector(labelText);
  const labels = selection.ok ? selection.labels : {};
  const usesFault = uses >= 1 && uses <= MAX_USES ? undefined : `1 to ${MAX_USES.toLocaleString('en')}`;
  const create = useMutation({
    mutationFn: () => client.createDeviceToken({ body: { ttlS, uses, labels, approve } }),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.deviceTokens }),
  });
  const change = (next: boolean) => {
    if (!next) create.reset();
    onOpenChange(next);
  };
  const made = create.data;
  return (
    <Dialog
      open={open}
      onOpenChange={change}
      title="Add device"
      description={
        made === undefined
          ? 'A token lets an agent join once or several times, until it expires.'
          : 'Run this on the device. The token is not shown again.'
      }
      footer={
        made === undefined ? (
          <>
            <Button onClick={() => change(false)}>Cancel</Button>
            <Button
              variant="primary"
              busy={create.isPending}
              disabled={!selection.ok || usesFault !== undefined}
              onClick={() => create.mutate()}
            >
              Make token
            </Button>
          </>
        ) : (
          <Button variant="primary" onClick={() => change(false)}>
            Done
          </Button>
        )
      }
    >
      {made === undefined ? (
        <div className="grid grid-cols-2 gap-x-4 gap-y-2">
          <SelectField label="Valid for" value={ttlS} onChange={(event) => setTtlS(Number(event.target.value))}>
            {LIFETIMES.map((lifetime) => (
              <option key={lifetime.ttlS} value={lifetime.ttlS}>
                {lifetime.text}
              </option>
            ))}
          </SelectField>
          <TextField
            label="Devices"
            type="number"
            min={1}
            max={MAX_USES}
            value={uses}
            error={usesFault}
            onChange={(event) => setUses(Math.trunc(event.target.valueAsNumber || 0))}
          />
          <div className="col-span-2">
            <TextField
              label="Labels"
              value={labelText}
              placeholder="site=lab, role=camera"
              onChange={(event) => setLabelText(event.target.value)}
              error={selection.ok ? undefined : selection.message}
              hint="Deployments select devices by their labels."
            />
          </div>
          <label className="col-span-2 flex items-center gap-2 text-sm">
            <input type="checkbox" checked={approve} onChange={(event) => setApprove(event.target.checked)} className="accent-accent" />
            Each device waits until it is approved here
          </label>
          <div className="col-span-2 grid gap-1">
            <p className="text-xs text-ink-3">From a terminal</p>
            <CodeBlock code={tokenCommand(ttlS, uses, labels, approve)} label="Command that makes the same token" />
          </div>
          {create.isError && (
            <div className="col-span-2">
              <ErrorState error={create.error} />
            </div>
          )}
        </div>
      ) : (
        <div className="grid gap-3 pb-2" aria-live="polite">
          <CodeBlock code={made.joinCommand} label="Join command" />
          <p className="text-sm text-ink-2">
            For {plural(made.uses, 'device')}, until {formatDateTime(Date.parse(made.expiresAt))}. A device appears in the list the moment
            it has joined.
          </p>
        </div>
      )}
    </Dialog>
  );
}

function tokenCommand(ttlS: number, uses: number, labels: Record<string, string>, approve: boolean): string {
  const lifetime = LIFETIMES.find((entry) => entry.ttlS === ttlS)?.flag ?? `${ttlS}s`;
  const options = Object.entries(labels).map(([key, value]) => ` --label ${key}=${value}`);
  return `selvedge device token --ttl ${lifetime} --uses ${uses}${options.join('')}${approve ? ' --approve' : ''}`;
}
