import type { InferenceModel } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ChangeEvent, type DragEvent, type ReactNode, useEffect, useState } from 'react';
import { formatMs, formatShare } from '../../lib/format.ts';
import { readScores } from '../../lib/inference.ts';
import { useBackend } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { classNames } from '../../ui/class-names.ts';
import { CodeBlock } from '../../ui/code-block.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField } from '../../ui/field.tsx';
import { Icon } from '../../ui/icon.tsx';

interface Picture {
  readonly file: File;
  readonly url: string;
}

/** Sends one picture to a device that serves the model, and shows what it answers. */
export function TryIt({ deployments }: { deployments: readonly InferenceModel[] }): ReactNode {
  const serving = deployments.filter((item) => item.status.devices.some((device) => device.servingVersion !== null));
  return (
    <Card title="Try it">
      {serving.length === 0 ? (
        <p className="text-sm text-ink-2">When a device serves this model, drop a picture here to see what it says.</p>
      ) : (
        <TryBox serving={serving} />
      )}
    </Card>
  );
}

function TryBox({ serving }: { serving: readonly InferenceModel[] }): ReactNode {
  const { client } = useBackend();
  const [target, setTarget] = useState('');
  const [picture, setPicture] = useState<Picture>();
  const [chosenDeployment = serving[0]?.metadata.name ?? '', device] = target === '' ? [] : target.split(' ');
  const infer = useMutation({
    mutationFn: (file: File) =>
      client.infer({
        params: { name: chosenDeployment },
        upload: file,
        contentType: file.type === '' ? 'application/octet-stream' : file.type,
        ...(device === undefined ? {} : { query: { device } }),
      }),
  });
  useEffect(() => () => URL.revokeObjectURL(picture?.url ?? ''), [picture]);
  const send = (file: File | undefined) => {
    if (file === undefined) return;
    setPicture({ file, url: URL.createObjectURL(file) });
    infer.mutate(file);
  };
  return (
    <div className="grid gap-3">
      <SelectField
        label="Device"
        value={target}
        onChange={(event) => setTarget(event.target.value)}
        hint="The picture goes there through the server."
      >
        <option value="">any that serves</option>
        {serving.flatMap((item) =>
          item.status.devices
            .filter((entry) => entry.servingVersion !== null)
            .map((entry) => (
              <option key={`${item.metadata.name} ${entry.device}`} value={`${item.metadata.name} ${entry.device}`}>
                {entry.device} ({item.metadata.name}, version {entry.servingVersion})
              </option>
            )),
        )}
      </SelectField>
      <DropZone picture={picture} busy={infer.isPending} onFile={send} />
      <div aria-live="polite">
        {infer.isError && (
          <div className="-m-4">
            <ErrorState error={infer.error} />
          </div>
        )}
        {infer.data !== undefined && !infer.isPending && <Answer answer={infer.data} />}
      </div>
    </div>
  );
}

function DropZone({
  picture,
  busy,
  onFile,
}: {
  picture: Picture | undefined;
  busy: boolean;
  onFile: (file: File | undefined) => void;
}): ReactNode {
  const [over, setOver] = useState(false);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    onFile(event.dataTransfer.files[0]);
  };
  const pick = (event: ChangeEvent<HTMLInputElement>) => {
    onFile(event.target.files?.[0]);
    event.target.value = '';
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is a shortcut; the file input inside does the same by keyboard
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <label
        className={classNames(
          'flex h-28 cursor-pointer items-center justify-center gap-4 rounded-lg border border-dashed p-3 text-sm text-ink-2 transition-colors has-focus-visible:outline-2 has-focus-visible:outline-accent',
          over ? 'border-accent bg-accent-soft' : 'border-line-strong bg-sunken hover:border-accent',
        )}
      >
        <input type="file" accept="image/*" className="sr-only" onChange={pick} aria-label="Picture to send" />
        {picture === undefined ? (
          <Icon name="picture" size={22} />
        ) : (
          <img
            src={picture.url}
            alt={picture.file.name}
            className="h-20 max-w-32 rounded border border-line bg-canvas object-contain [image-rendering:pixelated]"
          />
        )}
        <span className="min-w-0">
          <span className="block truncate font-medium text-ink">
            {busy ? 'The device is looking …' : (picture?.file.name ?? 'Drop a picture')}
          </span>
          or press to choose one
        </span>
      </label>
    </div>
  );
}

interface AnswerProps {
  answer: {
    device: string;
    roundTripMs: number;
    infer: { model: string; version: string; latencyMs: number; result: Record<string, unknown> };
  };
}

function Answer({ answer: { device, roundTripMs, infer } }: AnswerProps): ReactNode {
  const scores = readScores(infer.result).slice(0, 5);
  return (
    <div className="grid gap-3">
      {scores.length > 0 && (
        <ol className="grid gap-1.5">
          {scores.map(({ label, score }, index) => (
            <li key={label} className="grid grid-cols-[minmax(3rem,auto)_minmax(0,1fr)_4rem] items-center gap-3 text-sm">
              <span className={classNames('truncate', index === 0 && 'font-semibold')} title={label}>
                {label}
              </span>
              <span aria-hidden="true" className="h-1.5 overflow-hidden rounded-full bg-sunken">
                <span
                  className={classNames('block h-full rounded-full', index === 0 ? 'bg-accent' : 'bg-line-strong')}
                  style={{ width: `${Math.min(1, score) * 100}%` }}
                />
              </span>
              <span className="text-right tabular-nums">{formatShare(score, 1)}</span>
            </li>
          ))}
        </ol>
      )}
      <p className="text-xs text-ink-2 tabular-nums">
        {device} answered with {infer.model}/{infer.version}: {formatMs(infer.latencyMs)} in the model server, {formatMs(roundTripMs)} there
        and back.
      </p>
      <details open={scores.length === 0}>
        <summary className="w-fit rounded text-xs font-medium text-ink-2 hover:text-ink">The answer as JSON</summary>
        <div className="mt-2">
          <CodeBlock code={JSON.stringify(infer.result, null, 2)} label="Answer" />
        </div>
      </details>
    </div>
  );
}
