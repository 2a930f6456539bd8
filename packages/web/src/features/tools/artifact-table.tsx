import type { ArtifactSummary } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { artifactUrl, useArtifactActions } from '../../lib/containers.ts';
import { formatDuration } from '../../lib/format.ts';
import { artifactStatus } from '../../lib/status.ts';
import { Button, IconButton, iconButtonClasses } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { Icon } from '../../ui/icon.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { useToasts } from '../../ui/toast.tsx';
import { ArtifactDialog } from './artifact-dialog.tsx';

/** Artifacts with how they stand: what each left can be looked at, downloaded and removed. */
export function ArtifactTable({ artifacts, withTool = false }: { artifacts: readonly ArtifactSummary[]; withTool?: boolean }): ReactNode {
  const [opened, setOpened] = useState<ArtifactSummary>();
  const [removing, setRemoving] = useState<ArtifactSummary>();
  if (artifacts.length === 0) {
    return (
      <EmptyState icon="tool" title="No artifact yet" command="selvedge pipeline run NAME --watch">
        Each step of a run leaves one with the tool that does it.
      </EmptyState>
    );
  }
  const columns = [NAME(setOpened), STATE, ...(withTool ? [TOOL] : []), TOOK, MADE, ACTIONS(setRemoving)];
  // what is shown is as new as the list
  const shown = artifacts.find((one) => one.tool === opened?.tool && one.name === opened.name);
  return (
    <>
      <Table
        caption="Artifacts"
        columns={columns}
        rows={artifacts}
        keyOf={({ tool, name }) => `${tool}/${name}`}
        order={{ column: 'made', direction: 'descending' }}
        pageSize={20}
      />
      {shown !== undefined && <ArtifactDialog artifact={shown} onClose={() => setOpened(undefined)} />}
      {removing !== undefined && <RemoveDialog artifact={removing} onClose={() => setRemoving(undefined)} />}
    </>
  );
}

const NAME = (open: (artifact: ArtifactSummary) => void): Column<ArtifactSummary> => ({
  id: 'name',
  head: 'Artifact',
  sort: ({ name }) => name,
  className: 'max-w-36 sm:max-w-44',
  cell: (artifact) => (
    <button
      type="button"
      title={artifact.name}
      onClick={() => open(artifact)}
      className="block max-w-full truncate rounded text-left font-medium underline-offset-2 hover:underline"
    >
      {artifact.name}
    </button>
  ),
});

const STATE: Column<ArtifactSummary> = {
  id: 'state',
  head: 'State',
  sort: ({ state }) => state.status,
  cell: ({ state }) => <StatusBadge status={artifactStatus(state.status)} />,
};

const TOOL: Column<ArtifactSummary> = { id: 'tool', head: 'Tool', from: 'sm', sort: ({ tool }) => tool, cell: ({ tool }) => tool };

const TOOK: Column<ArtifactSummary> = {
  id: 'took',
  head: 'Took',
  align: 'right',
  from: 'xl',
  cell: ({ state: { startedAt, finishedAt } }) =>
    startedAt === null || finishedAt === null ? (
      <span className="text-ink-3">–</span>
    ) : (
      formatDuration((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000)
    ),
};

const MADE: Column<ArtifactSummary> = {
  id: 'made',
  head: 'Asked for',
  align: 'right',
  from: 'sm',
  first: 'descending',
  sort: ({ state }) => state.createdAt,
  cell: ({ state }) => <RelativeTime at={state.createdAt} />,
};

const ACTIONS = (remove: (artifact: ArtifactSummary) => void): Column<ArtifactSummary> => ({
  id: 'actions',
  head: 'Actions',
  align: 'right',
  cell: (artifact) => (
    <span className="inline-flex">
      {artifact.state.status === 'completed' && (
        <a
          href={artifactUrl(artifact.tool, artifact.name, 'data')}
          download
          title={`Download ${artifact.name}`}
          aria-label={`Download ${artifact.name}`}
          className={iconButtonClasses()}
        >
          <Icon name="download" />
        </a>
      )}
      <IconButton icon="trash" label={`Delete ${artifact.name}`} onClick={() => remove(artifact)} />
    </span>
  ),
});

/** Asks once more, and says what the artifact may be needed for. */
function RemoveDialog({ artifact, onClose }: { artifact: ArtifactSummary; onClose: () => void }): ReactNode {
  const { remove } = useArtifactActions();
  const { say } = useToasts();
  const removal = useMutation({
    mutationFn: () => remove(artifact),
    onSuccess: () => {
      onClose();
      say(`Artifact ${artifact.name} is deleted.`);
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Delete this artifact?"
      description={`${artifact.name} of ${artifact.tool} goes with its data, log and metrics; work on it is ended. A run that still needs it makes it again.`}
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button variant="danger" icon="trash" busy={removal.isPending} onClick={() => removal.mutate()}>
            Delete artifact
          </Button>
        </>
      }
    >
      {removal.isError && <ErrorState error={removal.error} />}
    </Dialog>
  );
}
