import type { Package, PackageBenchmark } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { formatBytes, formatMs, formatNumber } from '../../lib/format.ts';
import { targetsOf } from '../../lib/native.ts';
import { useBackend, useList } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField } from '../../ui/field.tsx';
import { KeyValue } from '../../ui/key-value.tsx';

const SECONDS = 5;

/** Runs a package's benchmark on a device that runs packages of its target. */
export function MeasureDialog({ item, onClose }: { item: Package; onClose: () => void }): ReactNode {
  const { name } = item.metadata;
  const { target } = item.spec;
  const { client } = useBackend();
  const devices = useList('Device');
  const able = (devices.data ?? []).filter((device) => device.status.online && targetsOf(device).includes(target));
  const [picked, setPicked] = useState('');
  const device = able.find(({ metadata }) => metadata.name === picked)?.metadata.name ?? able[0]?.metadata.name;
  const measure = useMutation({
    mutationFn: (on: string) => client.benchPackage({ params: { name }, body: { device: on, seconds: SECONDS } }),
  });
  const onMeasure = () => {
    if (device !== undefined) measure.mutate(device);
  };
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title="Measure on a device"
      description={`The device fetches ${name}, runs it for ${SECONDS} s on one thread and reports.`}
      footer={
        <>
          <Button onClick={onClose}>{measure.data === undefined ? 'Cancel' : 'Close'}</Button>
          <Button variant="primary" icon="clock" busy={measure.isPending} disabled={device === undefined} onClick={onMeasure}>
            {measure.data === undefined ? 'Measure' : 'Measure again'}
          </Button>
        </>
      }
    >
      <div className="grid gap-2 pb-2">
        <SelectField
          label="Device"
          value={device ?? ''}
          disabled={able.length === 0 || measure.isPending}
          onChange={(event) => setPicked(event.target.value)}
          hint={able.length === 0 && devices.data !== undefined ? `No device that runs ${target} packages is online.` : undefined}
        >
          {able.map(({ metadata, status }) => (
            <option key={metadata.name} value={metadata.name}>
              {metadata.name} ({status.info?.cpuModel ?? target})
            </option>
          ))}
        </SelectField>
        <CodeBlock code={`selvedge bench ${name} --on ${device ?? 'DEVICE'} --seconds ${SECONDS}`} label="The same from a terminal" />
        <div role="status" className="min-h-5 text-sm">
          {measure.isPending && <p className="text-ink-2">{measure.variables} measures …</p>}
          {measure.data?.results.map((result) => (
            <Result key={result.device} result={result} />
          ))}
          {measure.data?.failures.map((failure) => (
            <p key={failure.device} className="break-words text-bad">
              {failure.device}: {failure.message} <span className="font-mono text-xs">{failure.code}</span>
            </p>
          ))}
        </div>
        {measure.isError && (
          <div className="-mx-4">
            <ErrorState error={measure.error} />
          </div>
        )}
      </div>
    </Dialog>
  );
}

function Result({ result }: { result: PackageBenchmark }): ReactNode {
  const { latencyMs, stagesMs, imagesPerS, images, rssBytes, coldStartMs, cpuTemperatureC, energyMj } = result;
  return (
    <div className="rounded-md border border-line px-3 py-2.5">
      <h3 className="mb-2 font-medium">{result.device}</h3>
      <KeyValue
        wrap
        items={[
          ['Latency', `p50 ${formatMs(latencyMs.p50)}, p95 ${formatMs(latencyMs.p95)}, p99 ${formatMs(latencyMs.p99)}`],
          ['Throughput', `${formatNumber(Number(imagesPerS.toPrecision(3)))} images/s over ${formatNumber(images)} images`],
          ['Stages', stagesText(stagesMs), stagesText(stagesMs)],
          ['Memory', formatBytes(rssBytes)],
          ['Cold start', `${formatMs(coldStartMs)} to the first result`],
          ...(cpuTemperatureC === null ? [] : ([['Processor', `${Math.round(cpuTemperatureC)} °C`]] as const)),
          ...(energyMj === null ? [] : ([['Energy', `${formatNumber(energyMj)} mJ per picture`]] as const)),
        ]}
      />
    </div>
  );
}

function stagesText({ decode, preproc, infer, postproc }: PackageBenchmark['stagesMs']): string {
  return `decode ${formatMs(decode)}, prepare ${formatMs(preproc)}, model ${formatMs(infer)}, finish ${formatMs(postproc)}`;
}
