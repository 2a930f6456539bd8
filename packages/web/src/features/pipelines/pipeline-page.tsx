import { type Pipeline, triggerNamesOf } from '@selvedge/contract';
import { Link, useParams } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { type Container, usePipelineArtifacts, usePipelineContainers } from '../../lib/containers.ts';
import { useResource } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { StartRunDialog } from '../runs/start-run-dialog.tsx';
import { ArtifactTable } from '../tools/artifact-table.tsx';
import { PipelineRuns } from './pipeline-runs.tsx';

/** A pipeline: its runs, the tools that it works with, and everything that they have made for it. */
export function PipelinePage(): ReactNode {
  const { name } = useParams({ from: '/shell/pipelines/$name' });
  const pipeline = useResource('Pipeline', name);
  const containers = usePipelineContainers(name);
  const artifacts = usePipelineArtifacts(name);
  const [starting, setStarting] = useState(false);
  return (
    <Page
      title={name}
      trail={
        <Link to="/pipelines" className="hover:underline">
          Pipelines
        </Link>
      }
      actions={
        <>
          <CliHint
            commands={[
              `selvedge pipeline show ${name}`,
              `selvedge pipeline run ${name} --set lr=0.01 --watch`,
              'selvedge run list',
              'selvedge run cancel RUN',
              'selvedge delete run RUN',
              'selvedge module list',
            ]}
          />
          <Button variant="primary" icon="play" disabled={pipeline.data === undefined} onClick={() => setStarting(true)}>
            Start a run
          </Button>
        </>
      }
    >
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.8fr)_minmax(0,1fr)]">
        <div className="grid min-w-0 gap-4">
          <Card title="Runs" flush>
            <PipelineRuns pipeline={name} />
          </Card>
          <Card title="Artifacts" flush>
            <QueryView query={artifacts} label="artifacts" rows={4}>
              {(items) => <ArtifactTable artifacts={items} withTool />}
            </QueryView>
          </Card>
        </div>
        <div className="grid min-w-0 gap-4">
          <Card title="What it is">
            <QueryView query={pipeline} label={`pipeline ${name}`} rows={4}>
              {(data) => <Facts pipeline={data} />}
            </QueryView>
          </Card>
          <Card title="Tools">
            <QueryView query={containers} label="tools" rows={4}>
              {({ data, models }) => (
                <div className="grid gap-3 text-sm">
                  <Containers title="Data" containers={data} />
                  <Containers title="Models" containers={models} />
                </div>
              )}
            </QueryView>
          </Card>
        </div>
      </div>
      {starting && <StartRunDialog open pipeline={name} onOpenChange={setStarting} />}
    </Page>
  );
}

function Containers({ title, containers }: { title: string; containers: readonly Container[] }): ReactNode {
  return (
    <div>
      <h3 className="mb-1 text-xs font-semibold text-ink-3">{title}</h3>
      <ul className="flex flex-wrap gap-1.5">
        {containers.map(({ name, state }) => (
          <li key={name}>
            <Link
              to="/tools/$name"
              params={{ name }}
              className="inline-flex items-baseline gap-1.5 rounded-md border border-line bg-sunken px-2 py-0.5 font-medium underline-offset-2 hover:underline"
            >
              {name}
              <span className="text-xs font-normal text-ink-2">{state}</span>
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Facts({ pipeline }: { pipeline: Pipeline }): ReactNode {
  const { task, dataset, model, preproc, postproc, steps, triggers = [] } = pipeline.spec;
  return (
    <div className="grid gap-3">
      <KeyValue
        wrap
        items={[
          [
            'Task',
            task === undefined ? (
              'none'
            ) : (
              <Link key="task" to="/tasks/$name" params={{ name: task }} className="text-accent underline-offset-2 hover:underline">
                {task}
              </Link>
            ),
          ],
          [
            'Dataset',
            <Link
              key="data"
              to="/datasets/$name"
              params={{ name: dataset.name }}
              className="text-accent underline-offset-2 hover:underline"
            >
              {dataset.name}
            </Link>,
          ],
          ['Makes', model.name],
          ['Before', preproc.pipeline.join(' → ') || 'nothing'],
          ['After', postproc.pipeline.join(' → ') || 'nothing'],
          [
            'Steps',
            steps === undefined ? 'import → process → export → split → train → benchmark → register' : steps.map(({ id }) => id).join(', '),
          ],
          ['Triggers', triggerNamesOf(triggers).join(', ') || 'none'],
        ]}
      />
      <details className="text-sm">
        <summary className="w-fit rounded text-xs font-medium text-ink-2 hover:text-ink">The whole pipeline</summary>
        <div className="mt-2">
          <CodeBlock code={JSON.stringify(pipeline.spec, null, 2)} label="Pipeline" />
        </div>
      </details>
    </div>
  );
}
