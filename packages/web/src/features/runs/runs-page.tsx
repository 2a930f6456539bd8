import type { Run } from '@selvedge/contract';
import { type ReactNode, useState } from 'react';
import { useNow } from '../../lib/clock.ts';
import { formatDuration, formatMetric } from '../../lib/format.ts';
import { mainMetric } from '../../lib/metrics.ts';
import { useList } from '../../lib/queries.ts';
import { runSeconds } from '../../lib/run-times.ts';
import { runStatus, stepStatus } from '../../lib/status.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { NameLink } from '../../ui/name-link.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { StepStrip } from '../../ui/step-strip.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { StartRunDialog } from './start-run-dialog.tsx';

/** Every run, newest first, and the way to start one. */
export function RunsPage(): ReactNode {
  const runs = useList('Run');
  const [starting, setStarting] = useState(false);
  const start = (
    <Button variant="primary" icon="play" onClick={() => setStarting(true)}>
      Start a run
    </Button>
  );
  return (
    <Page
      title="Runs"
      actions={
        <>
          <CliHint commands={['selvedge run list', 'selvedge pipeline run NAME --watch']} />
          {start}
        </>
      }
    >
      <Card flush>
        <QueryView query={runs} label="runs" rows={6}>
          {(list) =>
            list.length === 0 ? (
              <EmptyState icon="run" title="Nothing has run yet" command="selvedge pipeline run NAME --watch" action={start}>
                A run takes a dataset through a pipeline: import, process, split, train, benchmark, register.
              </EmptyState>
            ) : (
              <Table
                caption="Runs"
                columns={COLUMNS}
                rows={list}
                keyOf={(run) => run.metadata.uid}
                order={{ column: 'created', direction: 'descending' }}
              />
            )
          }
        </QueryView>
      </Card>
      <StartRunDialog open={starting} onOpenChange={setStarting} />
    </Page>
  );
}

const COLUMNS: readonly Column<Run>[] = [
  {
    id: 'name',
    head: 'Run',
    sort: (run) => run.metadata.name,
    className: 'max-w-56',
    cell: (run) => <NameLink to="/runs/$name" name={run.metadata.name} />,
  },
  { id: 'state', head: 'State', sort: (run) => run.status.phase, cell: (run) => <StatusBadge status={runStatus(run.status.phase)} /> },
  { id: 'steps', head: 'Steps', from: 'sm', cell: (run) => <Steps run={run} /> },
  {
    id: 'pipeline',
    head: 'Pipeline',
    from: 'md',
    sort: (run) => run.spec.pipeline,
    className: 'max-w-44 truncate',
    cell: (run) => <span title={run.spec.pipeline}>{run.spec.pipeline}</span>,
  },
  {
    id: 'dataset',
    head: 'Dataset',
    from: 'lg',
    sort: (run) => run.spec.dataset.name,
    className: 'max-w-40 truncate text-ink-2',
    cell: (run) => `${run.spec.dataset.name} v${run.spec.dataset.version}`,
  },
  {
    id: 'metric',
    head: 'Result',
    align: 'right',
    from: 'md',
    first: 'descending',
    sort: (run) => mainMetric(run.status.metrics)?.value ?? null,
    cell: (run) => {
      const main = mainMetric(run.status.metrics);
      return main === null ? <span className="text-ink-3">–</span> : `${main.name} ${formatMetric(main.name, main.value)}`;
    },
  },
  { id: 'duration', head: 'Duration', align: 'right', from: 'lg', cell: (run) => <Duration run={run} /> },
  {
    id: 'created',
    head: 'Started',
    align: 'right',
    first: 'descending',
    sort: (run) => run.metadata.createdAt,
    cell: (run) => <RelativeTime at={run.status.startedAt} missing="waiting" />,
  },
];

function Steps({ run }: { run: Run }): ReactNode {
  const { steps } = run.status;
  const done = steps.filter((step) => step.state === 'completed' || step.state === 'skipped').length;
  const current = steps.find((step) => step.state === 'running' || step.state === 'failed');
  const label = `${done} of ${steps.length} steps done${current === undefined ? '' : `, ${current.name} ${current.state}`}`;
  return (
    <span className="inline-flex items-center gap-2">
      <StepStrip steps={steps.map((step) => ({ name: step.name, tone: stepStatus(step.state).tone }))} label={label} />
      {current !== undefined && <span className="text-xs text-ink-2">{current.name}</span>}
    </span>
  );
}

function Duration({ run }: { run: Run }): ReactNode {
  const now = useNow(run.status.phase === 'Running' ? 1000 : 3_600_000);
  const seconds = runSeconds(run.status, now);
  return seconds === null ? <span className="text-ink-3">–</span> : formatDuration(seconds);
}
