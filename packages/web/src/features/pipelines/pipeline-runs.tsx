import type { Run } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { formatMetric } from '../../lib/format.ts';
import { mainMetric } from '../../lib/metrics.ts';
import { useBackend, useList } from '../../lib/queries.ts';
import { runStatus } from '../../lib/status.ts';
import { Button, IconButton } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { NameLink } from '../../ui/name-link.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { useToasts } from '../../ui/toast.tsx';
import { CancelRunButton } from '../runs/cancel-run-button.tsx';

/** The runs of one pipeline, each with the way to end or to delete it. */
export function PipelineRuns({ pipeline }: { pipeline: string }): ReactNode {
  const runs = useList('Run');
  const [removing, setRemoving] = useState<string>();
  return (
    <QueryView query={runs} label="runs" rows={4}>
      {(list) => {
        const own = list.filter(({ spec }) => spec.pipeline === pipeline);
        if (own.length === 0) {
          return (
            <EmptyState icon="run" title="It has not run yet" command={`selvedge pipeline run ${pipeline} --watch`}>
              A run takes the newest version of its dataset through its steps.
            </EmptyState>
          );
        }
        return (
          <>
            <Table
              caption="Runs"
              columns={[...COLUMNS, actionColumn(setRemoving)]}
              rows={own}
              keyOf={({ metadata }) => metadata.uid}
              order={{ column: 'created', direction: 'descending' }}
              pageSize={10}
            />
            {removing !== undefined && <RemoveRunDialog name={removing} onClose={() => setRemoving(undefined)} />}
          </>
        );
      }}
    </QueryView>
  );
}

const COLUMNS: readonly Column<Run>[] = [
  {
    id: 'name',
    head: 'Run',
    className: 'max-w-36 sm:max-w-56',
    sort: ({ metadata }) => metadata.name,
    cell: ({ metadata }) => <NameLink to="/runs/$name" name={metadata.name} />,
  },
  {
    id: 'state',
    head: 'State',
    sort: ({ status }) => status.phase,
    cell: ({ status }) => <StatusBadge status={runStatus(status.phase)} />,
  },
  {
    id: 'metric',
    head: 'Result',
    align: 'right',
    from: 'md',
    cell: ({ status }) => {
      const main = mainMetric(status.metrics);
      return main === null ? <span className="text-ink-3">–</span> : `${main.name} ${formatMetric(main.name, main.value)}`;
    },
  },
  {
    id: 'created',
    head: 'Started',
    align: 'right',
    from: 'sm',
    first: 'descending',
    sort: ({ metadata }) => metadata.createdAt,
    cell: ({ status }) => <RelativeTime at={status.startedAt} missing="waiting" />,
  },
];

const actionColumn = (remove: (run: string) => void): Column<Run> => ({
  id: 'actions',
  head: 'Actions',
  align: 'right',
  cell: ({ metadata: { name }, status: { phase } }) =>
    phase === 'Running' || phase === 'Pending' ? (
      <CancelRunButton name={name} small />
    ) : (
      <IconButton icon="trash" label={`Delete run ${name}`} onClick={() => remove(name)} />
    ),
});

function RemoveRunDialog({ name, onClose }: { name: string; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const { say } = useToasts();
  const remove = useMutation({
    mutationFn: () => client.deleteResource({ params: { plural: 'runs', name } }),
    onSuccess: () => {
      onClose();
      say(`Run ${name} is deleted.`);
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Delete this run?"
      description={`The artifacts, logs and curves of ${name} go with it. Datasets and the model version that it has registered stay.`}
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button variant="danger" icon="trash" busy={remove.isPending} onClick={() => remove.mutate()}>
            Delete run
          </Button>
        </>
      }
    >
      <div className="pb-2">
        <CodeBlock code={`selvedge delete run ${name}`} label="The same from a terminal" />
        {remove.isError && <ErrorState error={remove.error} />}
      </div>
    </Dialog>
  );
}
