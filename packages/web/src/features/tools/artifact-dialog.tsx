import type { ArtifactSummary, DatasetVersion } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { artifactUrl, useArtifactActions, useArtifactLog } from '../../lib/containers.ts';
import { useList } from '../../lib/queries.ts';
import { artifactStatus } from '../../lib/status.ts';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { LogView } from '../../ui/log-view.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { useToasts } from '../../ui/toast.tsx';
import { ArtifactSamples } from '../datasets/dataset-samples.tsx';
import { ArtifactMetrics } from './artifact-metrics.tsx';
import { ArtifactWeights } from './artifact-weights.tsx';

type Panel = 'log' | 'metrics' | 'samples' | 'weights';

/** One artifact: how it stands, its log and its curves, both live. */
export function ArtifactDialog({ artifact, onClose }: { artifact: ArtifactSummary; onClose: () => void }): ReactNode {
  const [panel, setPanel] = useState<Panel>('log');
  const versions = useList('DatasetVersion');
  const { name, tool, state } = artifact;
  const isMade = state.status !== 'queued' && state.status !== 'in-progress';
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title={name}
      description={
        <span className="flex min-w-0 flex-wrap items-center gap-x-2 gap-y-1">
          <StatusBadge status={artifactStatus(state.status)} />
          <span className="min-w-0 break-words">
            {artifact.type} of {tool}
            {state.message === '' ? '' : `: ${state.message}`}
          </span>
        </span>
      }
      footer={
        <>
          {!isMade && <CancelButton artifact={artifact} />}
          <Button onClick={onClose}>Close</Button>
        </>
      }
    >
      <div className="mb-3 overflow-hidden rounded-md border border-line">
        <Tabs<Panel>
          label="Of this artifact"
          active={panel}
          onChange={setPanel}
          items={[
            { id: 'log', text: 'Log' },
            { id: 'metrics', text: 'Metrics' },
            ...(artifact.type === 'model' && state.status === 'completed' ? [{ id: 'weights' as const, text: 'Weights' }] : []),
            ...(artifact.type === 'dataset' && state.status === 'completed' ? [{ id: 'samples' as const, text: 'Samples' }] : []),
          ]}
        >
          {panel === 'log' && <ArtifactLog tool={tool} name={name} />}
          {panel === 'metrics' && <ArtifactMetrics tool={tool} artifact={name} isMade={isMade} />}
          {panel === 'weights' && <ArtifactWeights tool={tool} artifact={name} />}
          {panel === 'samples' && (
            <div className="p-4">
              <ArtifactSamples artifact={name} labels={labelsOf(name, versions.data ?? [])} />
            </div>
          )}
        </Tabs>
      </div>
    </Dialog>
  );
}

/** Of the dataset version whose artifact it is; none for one that was made by hand. */
function labelsOf(artifact: string, versions: readonly DatasetVersion[]): readonly string[] {
  return versions.find(({ status }) => status.artifact === artifact)?.status.content?.labels ?? [];
}

function ArtifactLog({ tool, name }: { tool: string; name: string }): ReactNode {
  const log = useArtifactLog(tool, name);
  return (
    <>
      {log.phase === 'broken' && <ErrorState error={log.error} />}
      <LogView
        label={`Log of ${name}`}
        lines={log.lines}
        phase={log.phase}
        dropped={log.dropped}
        downloadUrl={artifactUrl(tool, name, 'log')}
      />
    </>
  );
}

function CancelButton({ artifact }: { artifact: ArtifactSummary }): ReactNode {
  const { cancel } = useArtifactActions();
  const { say, fail } = useToasts();
  const ending = useMutation({
    mutationFn: () => cancel(artifact),
    onSuccess: () => say(`Artifact ${artifact.name} is being cancelled.`, 'idle'),
    onError: fail,
  });
  return (
    <Button variant="danger" icon="stop" busy={ending.isPending} onClick={() => ending.mutate()}>
      Cancel
    </Button>
  );
}
