import type { SomeHyperparams } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { readHyperparams } from '../../lib/hyperparams.ts';
import { useBackend, useList } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField } from '../../ui/field.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { HyperparamFields } from './hyperparam-fields.tsx';

export interface StartRunDialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  /** The one that is chosen when it opens; default: the newest. */
  pipeline?: string;
}

/** Starts a run of a pipeline, with the newest version of its dataset or a chosen one. */
export function StartRunDialog({ open, onOpenChange, pipeline: preset }: StartRunDialogProps): ReactNode {
  const { client } = useBackend();
  const navigate = useNavigate();
  const pipelines = useList('Pipeline');
  const versions = useList('DatasetVersion');
  const [chosen, setChosen] = useState(preset);
  const [changes, setChanges] = useState<Readonly<Record<string, string>>>({});
  const [anew, setAnew] = useState(false);
  const [version, setVersion] = useState<number>();
  const pipeline = pipelines.data?.find((item) => item.metadata.name === chosen) ?? pipelines.data?.at(-1);
  const dataset = pipeline?.spec.dataset.name;
  const ready = (versions.data ?? []).filter((item) => item.spec.dataset === dataset && item.status.phase === 'Ready');
  const given = readHyperparams(changes);
  const body = {
    ...(version === undefined ? {} : { datasetVersion: version }),
    ...(anew ? { cache: false } : {}),
    ...(given.ok && Object.keys(given.values).length > 0 ? { hyperparams: given.values } : {}),
  };
  const start = useMutation({
    mutationFn: (name: string) => client.startRun({ params: { name }, body }),
    onSuccess: async (run) => {
      onOpenChange(false);
      await navigate({ to: '/runs/$name', params: { name: run.metadata.name } });
    },
  });
  const choose = (name: string) => {
    setChosen(name);
    setVersion(undefined);
    setChanges({});
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
            disabled={pipeline === undefined || !given.ok}
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
              <HyperparamFields
                own={pipeline.spec.model.hyperparams}
                changes={changes}
                onChange={setChanges}
                fault={given.ok ? undefined : given}
              />
              <label className="col-span-2 flex items-center gap-2 text-sm">
                <input type="checkbox" checked={anew} onChange={(event) => setAnew(event.target.checked)} className="accent-accent" />
                Do every step anew, also where an earlier run has done the same
              </label>
              <div className="col-span-2 grid gap-1">
                <p className="text-xs text-ink-3">From a terminal</p>
                <CodeBlock code={runCommand(pipeline.metadata.name, body)} label="Command that starts the same run" />
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

interface StartBody {
  datasetVersion?: number;
  cache?: boolean;
  hyperparams?: SomeHyperparams;
}

function runCommand(pipeline: string, { datasetVersion, cache, hyperparams = {} }: StartBody): string {
  const parts = [`selvedge pipeline run ${pipeline}`];
  if (datasetVersion !== undefined) parts.push(`--dataset-version ${datasetVersion}`);
  if (cache === false) parts.push('--no-cache');
  for (const [name, value] of Object.entries(hyperparams)) parts.push(`--set ${name}=${String(value)}`);
  return [...parts, '--watch'].join(' ');
}
