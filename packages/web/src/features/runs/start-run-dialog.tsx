import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { useBackend, useList } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField } from '../../ui/field.tsx';
import { QueryView } from '../../ui/query-view.tsx';

export interface StartRunDialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

/** Starts a run of a pipeline, with the newest version of its dataset or a chosen one. */
export function StartRunDialog({ open, onOpenChange }: StartRunDialogProps): ReactNode {
  const { client } = useBackend();
  const navigate = useNavigate();
  const pipelines = useList('Pipeline');
  const versions = useList('DatasetVersion');
  const [chosen, setChosen] = useState<string>();
  const [version, setVersion] = useState<number>();
  const pipeline = pipelines.data?.find((item) => item.metadata.name === chosen) ?? pipelines.data?.at(-1);
  const dataset = pipeline?.spec.dataset.name;
  const ready = (versions.data ?? []).filter((item) => item.spec.dataset === dataset && item.status.phase === 'Ready');
  const start = useMutation({
    mutationFn: (name: string) => client.startRun({ params: { name }, body: version === undefined ? {} : { datasetVersion: version } }),
    onSuccess: async (run) => {
      onOpenChange(false);
      await navigate({ to: '/runs/$name', params: { name: run.metadata.name } });
    },
  });
  const choose = (name: string) => {
    setChosen(name);
    setVersion(undefined);
  };
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title="Start a run"
      description="The pipeline is taken as it stands now; a later change does not touch the run."
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>Cancel</Button>
          <Button
            variant="primary"
            icon="play"
            busy={start.isPending}
            disabled={pipeline === undefined}
            onClick={() => pipeline && start.mutate(pipeline.metadata.name)}
          >
            Start
          </Button>
        </>
      }
    >
      <QueryView query={pipelines} label="pipelines" rows={2}>
        {(list) =>
          pipeline === undefined || list.length === 0 ? (
            <EmptyState icon="run" title="There is no pipeline" command="selvedge apply -f pipeline.json">
              A pipeline names its dataset, the steps before and after the model, and how to train it.
            </EmptyState>
          ) : (
            <div className="grid grid-cols-2 gap-x-4 gap-y-2 pb-2">
              <SelectField
                label="Pipeline"
                value={pipeline.metadata.name}
                onChange={(event) => choose(event.target.value)}
                hint={`trains ${pipeline.spec.model.name}`}
              >
                {list.map((item) => (
                  <option key={item.metadata.uid}>{item.metadata.name}</option>
                ))}
              </SelectField>
              <SelectField
                label="Dataset version"
                value={version ?? ''}
                onChange={(event) => setVersion(event.target.value === '' ? undefined : Number(event.target.value))}
                hint={`of ${dataset}`}
              >
                <option value="">latest</option>
                {ready.toReversed().map((item) => (
                  <option key={item.metadata.uid} value={item.spec.version}>
                    {item.spec.version}
                  </option>
                ))}
              </SelectField>
              <div className="col-span-2 grid gap-1">
                <p className="text-xs text-ink-3">From a terminal</p>
                <CodeBlock code={runCommand(pipeline.metadata.name, version)} label="Command that starts the same run" />
              </div>
              {start.isError && (
                <div className="col-span-2">
                  <ErrorState error={start.error} />
                </div>
              )}
            </div>
          )
        }
      </QueryView>
    </Dialog>
  );
}

function runCommand(pipeline: string, version: number | undefined): string {
  return `selvedge pipeline run ${pipeline}${version === undefined ? '' : ` --dataset-version ${version}`} --watch`;
}
