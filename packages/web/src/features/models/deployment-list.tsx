import type { InferenceModel } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { useBackend, useList } from '../../lib/queries.ts';
import { newestRollout } from '../../lib/rollout.ts';
import { deploymentStatus, rolloutStatus, workloadStatus } from '../../lib/status.ts';
import { Button, IconButton } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { LabelList } from '../../ui/label-list.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { useToasts } from '../../ui/toast.tsx';

export interface DeploymentListProps {
  deployments: readonly InferenceModel[];
  onChange: (deployment: InferenceModel) => void;
}

/** Where a model is to be served, and how each selected device stands. */
export function DeploymentList({ deployments, onChange }: DeploymentListProps): ReactNode {
  const [removing, setRemoving] = useState<string>();
  if (deployments.length === 0) {
    return <p className="px-4 py-6 text-center text-sm text-ink-2">Not deployed. Press Deploy to choose a version and the devices.</p>;
  }
  return (
    <>
      <ul className="divide-y divide-line">
        {deployments.map((item) => (
          <li key={item.metadata.uid} className="px-4 py-3">
            <Head item={item} onChange={() => onChange(item)} onRemove={() => setRemoving(item.metadata.name)} />
            <RolloutLine name={item.metadata.name} />
            <HeldBack item={item} />
            <Devices item={item} />
          </li>
        ))}
      </ul>
      {removing !== undefined && <RemoveDialog name={removing} onClose={() => setRemoving(undefined)} />}
    </>
  );
}

function Head({ item, onChange, onRemove }: { item: InferenceModel; onChange: () => void; onRemove: () => void }): ReactNode {
  const { name } = item.metadata;
  const { targetVersion = 'latest', nodeSelector = {}, nodeName } = item.spec;
  const { resolvedVersion } = item.status;
  return (
    <div className="flex items-start gap-2">
      <div className="min-w-0 flex-1">
        <p className="flex min-w-0 items-center gap-2">
          <span className="truncate text-sm font-medium" title={name}>
            {name}
          </span>
          <StatusBadge status={deploymentStatus(item)} />
        </p>
        <div className="mt-1 flex flex-wrap items-center gap-x-2 gap-y-1 text-xs text-ink-2">
          <span>
            version <span className="font-mono text-ink">{targetVersion}</span>
            {resolvedVersion !== '' && resolvedVersion !== targetVersion && ` (${resolvedVersion})`} on
          </span>
          {nodeName !== undefined && nodeName !== '' ? (
            <span className="font-mono">{nodeName}</span>
          ) : Object.keys(nodeSelector).length === 0 ? (
            'every device'
          ) : (
            <LabelList labels={nodeSelector} />
          )}
        </div>
      </div>
      <div className="-mr-2 flex">
        <IconButton icon="edit" label={`Change ${name}`} onClick={onChange} />
        <IconButton icon="trash" label={`Remove deployment ${name}`} onClick={onRemove} />
      </div>
    </div>
  );
}

/** The newest change of it, and where that stands. */
function RolloutLine({ name }: { name: string }): ReactNode {
  const rollouts = useList('Rollout');
  const newest = newestRollout(rollouts.data ?? [], name);
  if (newest === undefined) return null;
  const { text } = rolloutStatus(newest.status.phase);
  return (
    <p className="mt-1 text-xs text-ink-2">
      Rollout{' '}
      <Link to="/rollouts/$name" params={{ name: newest.metadata.name }} className="text-ink underline underline-offset-2">
        {newest.metadata.name}
      </Link>
      : {text.toLowerCase()}
      {newest.status.message !== '' && `. ${newest.status.message}`}
    </p>
  );
}

/** A version that does not keep what its task demands goes nowhere; what served before goes on. */
function HeldBack({ item }: { item: InferenceModel }): ReactNode {
  const { conditions, devices } = item.status;
  const gates = conditions.find(({ type }) => type === 'GatesPassed');
  if (gates === undefined || gates.status === 'True' || devices.length === 0) return null;
  if (gates.status === 'Unknown') return <p className="mt-2 text-xs break-words text-warn">A gate cannot be checked: {gates.message}</p>;
  if (gates.reason === 'GateNotMeasured')
    return (
      <p className="mt-2 text-xs break-words text-warn">
        Not every gate of the version is measured: see them below. What serves now goes on.
      </p>
    );
  // Tells the lines that hold it back alone; the gates' own message tells all.
  const refusal = conditions.find(({ type, reason }) => type === 'Progressing' && reason === gates.reason);
  return <p className="mt-2 text-xs break-words text-bad">{(refusal ?? gates).message} What serves now goes on.</p>;
}

const DEVICES_SHOWN = 20;

function Devices({ item }: { item: InferenceModel }): ReactNode {
  const { devices } = item.status;
  if (devices.length === 0) return <p className="mt-2 text-xs text-warn">No device matches the selector.</p>;
  return (
    <ul className="mt-2 grid grid-cols-1 gap-1 border-l-2 border-line pl-3">
      {devices.slice(0, DEVICES_SHOWN).map((device) => (
        <li key={device.device} className="text-sm">
          <div className="flex items-center gap-2">
            <Link
              to="/devices/$name"
              params={{ name: device.device }}
              title={device.device}
              className="min-w-0 flex-1 truncate underline-offset-2 hover:underline"
            >
              {device.device}
            </Link>
            <span className="font-mono text-xs text-ink-2">{device.servingVersion ?? '–'}</span>
            <StatusBadge status={workloadStatus(device.state)} />
          </div>
          {device.state === 'failed' && device.message !== '' && <p className="text-xs break-words text-bad">{device.message}</p>}
        </li>
      ))}
      {devices.length > DEVICES_SHOWN && <li className="text-xs text-ink-3">and {devices.length - DEVICES_SHOWN} more</li>}
    </ul>
  );
}

function RemoveDialog({ name, onClose }: { name: string; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const { say } = useToasts();
  const remove = useMutation({
    mutationFn: () => client.deleteResource({ params: { plural: 'inferencemodels', name } }),
    onSuccess: () => {
      onClose();
      say(`Deployment ${name} is removed.`);
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Remove deployment ${name}?`}
      description="The devices stop serving the model. The model and its versions stay in the registry."
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button variant="danger" icon="trash" busy={remove.isPending} onClick={() => remove.mutate()}>
            Remove deployment
          </Button>
        </>
      }
    >
      <div className="pb-2">
        <CodeBlock code={`selvedge delete inferencemodel ${name}`} label="The same from a terminal" />
        {remove.isError && <ErrorState error={remove.error} />}
      </div>
    </Dialog>
  );
}
