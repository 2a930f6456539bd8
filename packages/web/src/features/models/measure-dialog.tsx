import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { formatMs } from '../../lib/format.ts';
import { useBackend, useList } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField } from '../../ui/field.tsx';

const SECONDS = 5;

/** Runs a package's benchmark on a device. */
export function MeasureDialog({ name, onClose }: { name: string; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const devices = useList('Device');
  const online = (devices.data ?? []).filter((device) => device.status.online);
  const [picked, setPicked] = useState('');
  const device = picked === '' ? online[0]?.metadata.name : picked;
  const measure = useMutation({
    mutationFn: async () => {
      if (device === undefined) throw new Error('no device is online');
      return client.benchPackage({ params: { name }, body: { device, seconds: SECONDS } });
    },
  });
  const [result] = measure.data?.results ?? [];
  const [failure] = measure.data?.failures ?? [];
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Measure on a device"
      description={`The device fetches ${name}, runs it for ${SECONDS} s on one thread and reports.`}
      footer={
        <>
          <Button onClick={onClose}>{measure.data === undefined ? 'Cancel' : 'Close'}</Button>
          <Button variant="primary" icon="clock" busy={measure.isPending} disabled={device === undefined} onClick={() => measure.mutate()}>
            Measure
          </Button>
        </>
      }
    >
      <div className="grid gap-2 pb-2">
        <SelectField
          label="Device"
          value={device ?? ''}
          onChange={(event) => setPicked(event.target.value)}
          hint={online.length === 0 ? 'No device is online.' : undefined}
        >
          {online.map(({ metadata, status }) => (
            <option key={metadata.name} value={metadata.name}>
              {metadata.name} ({status.info?.targets?.join(', ') ?? status.info?.arch ?? 'unknown'})
            </option>
          ))}
        </SelectField>
        <CodeBlock code={`selvedge bench ${name} --on ${device ?? 'DEVICE'} --seconds ${SECONDS}`} label="The same from a terminal" />
        {result !== undefined && (
          <p className="text-sm" role="status">
            {result.device}: p50 {formatMs(result.latencyMs.p50)}, p99 {formatMs(result.latencyMs.p99)}, {result.imagesPerS.toFixed(1)}{' '}
            images/s
          </p>
        )}
        {failure !== undefined && <p className="text-sm break-words text-bad">{`${failure.device}: ${failure.message}`}</p>}
        {measure.isError && <ErrorState error={measure.error} />}
      </div>
    </Dialog>
  );
}
