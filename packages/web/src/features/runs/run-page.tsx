import { AppError, type Run } from '@selvedge/contract';
import { Link, useParams } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { useNow } from '../../lib/clock.ts';
import { formatDuration } from '../../lib/format.ts';
import { gatesStatus } from '../../lib/gates.ts';
import { useResource } from '../../lib/queries.ts';
import { runSeconds } from '../../lib/run-times.ts';
import { runStatus } from '../../lib/status.ts';
import { buttonClasses } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { GateList } from '../../ui/gate-list.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { CancelRunButton } from './cancel-run-button.tsx';
import { Lineage, Parameters } from './run-facts.tsx';
import { RunLog } from './run-log.tsx';
import { RunMetrics } from './run-metrics.tsx';
import { StepResources } from './step-resources.tsx';
import { StepTimeline } from './step-timeline.tsx';

/** One run: its steps in time, its curves, its log, and what it was made from. */
export function RunPage(): ReactNode {
  const { name } = useParams({ from: '/shell/runs/$name' });
  const run = useResource('Run', name);
  const phase = run.data?.status.phase;
  return (
    <Page
      title={name}
      trail={
        <Link to="/runs" className="hover:underline">
          Runs
        </Link>
      }
      beside={
        run.data !== undefined && (
          <>
            <StatusBadge status={runStatus(run.data.status.phase)} />
            <Elapsed run={run.data} />
          </>
        )
      }
      actions={
        <>
          <CliHint
            commands={[
              `selvedge run show ${name}`,
              `selvedge run logs ${name} --follow`,
              `selvedge run metrics ${name}`,
              `selvedge run report ${name}`,
              `selvedge run cancel ${name}`,
            ]}
          />
          {(phase === 'Running' || phase === 'Pending') && <CancelRunButton name={name} />}
          {run.data !== undefined && <ReportLink run={run.data} />}
          {run.data !== undefined && <DeployLink modelVersion={run.data.status.modelVersion} />}
        </>
      }
    >
      <QueryView query={run} label={`run ${name}`} rows={8}>
        {(data) => <RunDetail key={name} run={data} />}
      </QueryView>
    </Page>
  );
}

/** The report of its benchmark, a page by itself. */
function ReportLink({ run }: { run: Run }): ReactNode {
  const isDone = run.status.steps.some((step) => (step.tool ?? step.name) === 'benchmark' && step.state === 'completed');
  if (!isDone) return null;
  return (
    <a href={`/api/v1/runs/${run.metadata.name}/report`} target="_blank" rel="noopener" className={buttonClasses('secondary')}>
      Report
    </a>
  );
}

/** From a run to its rollout: the model's page opens with the deployment of this version. */
function DeployLink({ modelVersion }: { modelVersion: string | null }): ReactNode {
  const [model, version] = modelVersion?.split('/') ?? [];
  if (model === undefined || version === undefined) return null;
  return (
    <Link to="/models/$name" params={{ name: model }} search={{ deploy: version }} className={buttonClasses('primary')}>
      <Icon name="deployment" size={14} />
      Deploy
    </Link>
  );
}

function Elapsed({ run }: { run: Run }): ReactNode {
  const now = useNow(run.status.finishedAt === null ? 1000 : 3_600_000);
  const seconds = runSeconds(run.status, now);
  return seconds === null ? null : <span className="text-sm text-ink-2 tabular-nums">{formatDuration(seconds)}</span>;
}

function RunDetail({ run }: { run: Run }): ReactNode {
  const { steps, message, phase } = run.status;
  const [picked, setPicked] = useState<string>();
  const active =
    steps.find((step) => step.state === 'running' || step.state === 'failed') ?? steps.findLast((step) => step.startedAt !== null);
  // Of a run that is done, the training says most.
  const first = phase === 'Succeeded' ? steps.find((step) => step.name === 'train') : active;
  const shown = steps.find((step) => step.name === picked) ?? first;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.6fr)_minmax(0,1fr)]">
      <div className="grid min-w-0 gap-4">
        {phase === 'Failed' && (
          <div className="-m-4">
            <FailedMessage message={message} />
          </div>
        )}
        <Card title="Steps" flush>
          <StepTimeline steps={steps} shown={shown?.name} onShow={setPicked} />
        </Card>
        <StepResources run={run} />
        <RunMetrics run={run} />
        <RunLog run={run.metadata.name} steps={steps} shown={shown} onShow={setPicked} />
      </div>
      <div className="grid min-w-0 gap-4">
        <SweepRuns run={run} />
        <Criteria run={run} />
        <Card title="Made from">
          <Lineage run={run} />
        </Card>
        <Card title="Parameters">
          <Parameters run={run} />
        </Card>
      </div>
    </div>
  );
}

/** How the version does by the criteria of the pipeline's task; nothing without a task, or before there is a version. */
function Criteria({ run }: { run: Run }): ReactNode {
  const { criteria = [] } = run.status;
  const { task } = run.spec.pipelineSpec;
  if (criteria.length === 0) return null;
  const told = gatesStatus(criteria);
  return (
    <Card title="Criteria of the task" actions={told !== undefined && <StatusBadge status={told} />}>
      <GateList caption="Evaluation criteria" results={criteria} />
      {task !== undefined && (
        <Link
          to="/tasks/$name"
          params={{ name: task }}
          className="mt-3 inline-block text-sm text-accent underline-offset-2 hover:underline"
        >
          Compare the pipelines of {task}
        </Link>
      )}
    </Card>
  );
}

function FailedMessage({ message }: { message: string }): ReactNode {
  return <ErrorState error={new AppError('RUN_FAILED', { message: message === '' ? 'The run failed.' : message })} />;
}

/** The runs of a sweep with what each tried; nothing for other runs. */
function SweepRuns({ run }: { run: Run }): ReactNode {
  const { sweep } = run.status;
  if (sweep === undefined || sweep.children.length === 0) return null;
  return (
    <Card title={`Runs of the sweep, by ${run.spec.pipelineSpec.sweep?.metric ?? 'its metric'}`}>
      <ol className="grid gap-1 text-sm">
        {sweep.children.map((child) => (
          <li key={child.run} className="flex flex-wrap items-baseline justify-between gap-x-3">
            <Link to="/runs/$name" params={{ name: child.run }} className="font-medium text-accent underline-offset-2 hover:underline">
              {child.run}
            </Link>
            <span className="text-ink-2">
              {Object.entries(child.parameters)
                .map(([name, value]) => `${name} ${value}`)
                .join(', ')}
            </span>
            <span className="tabular-nums">
              {child.value ?? child.phase.toLowerCase()}
              {child.run === sweep.best?.run && ' (best)'}
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
