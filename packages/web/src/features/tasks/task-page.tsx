import type { ComparedPipeline, GateResult, TaskComparison } from '@selvedge/contract';
import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { formatBytes, formatDuration, formatNumber } from '../../lib/format.ts';
import { gatesStatus } from '../../lib/gates.ts';
import { useTaskComparison } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';

/** A task: its pipelines side by side, by what it judges models by. */
export function TaskPage(): ReactNode {
  const { name } = useParams({ from: '/shell/tasks/$name' });
  const comparison = useTaskComparison(name);
  return (
    <Page
      title={name}
      trail="Task"
      actions={<CliHint commands={[`selvedge task compare ${name}`, `selvedge task compare ${name} --require`]} />}
    >
      <QueryView query={comparison} label={`task ${name}`} rows={4}>
        {(data) => <Comparison comparison={data} />}
      </QueryView>
    </Page>
  );
}

function Comparison({ comparison }: { comparison: TaskComparison }): ReactNode {
  const { criteria, issues, costFunction, pipelines, task } = comparison;
  return (
    <div className="grid gap-4">
      <Card title="How models are judged">
        <KeyValue
          items={[
            ['Criteria', criteria.join('; ') || 'none that a machine can check'],
            ...issues.map((issue) => ['Not a criterion', issue] as const),
            ['Cost', costFunction],
          ]}
        />
      </Card>
      <Card title="Pipelines, by the best run of each" flush>
        {pipelines.length === 0 ? (
          <EmptyState icon="run" title="No pipeline is for this task" command="selvedge apply -f pipeline.json">
            A pipeline with "task": "{task}" appears here.
          </EmptyState>
        ) : (
          <Table caption="Pipelines side by side" columns={columnsOf(criteria)} rows={pipelines} keyOf={({ pipeline }) => pipeline} />
        )}
      </Card>
    </div>
  );
}

function columnsOf(criteria: readonly string[]): Column<ComparedPipeline>[] {
  return [
    {
      id: 'pipeline',
      head: 'Pipeline',
      sort: ({ pipeline }) => pipeline,
      cell: ({ pipeline }) => <span className="font-medium">{pipeline}</span>,
    },
    { id: 'runs', head: 'Runs', align: 'right', from: 'md', sort: ({ runs }) => runs, cell: ({ runs }) => runs },
    {
      id: 'run',
      head: 'Best run',
      cell: ({ best }) => (best === null ? 'none yet' : <RunLink run={best.run} model={best.modelVersion} />),
    },
    ...criteria.map((criterion, i): Column<ComparedPipeline> => {
      return {
        id: `criterion:${i}`,
        head: criterion,
        align: 'right',
        sort: ({ best }) => best?.criteria[i]?.value ?? Number.NEGATIVE_INFINITY,
        first: 'descending',
        cell: ({ best }) => <Value result={best?.criteria[i]} />,
      };
    }),
    { id: 'passed', head: 'Criteria', cell: ({ best }) => <Passed criteria={best?.criteria ?? []} /> },
    {
      id: 'training',
      head: 'Training',
      align: 'right',
      from: 'md',
      sort: ({ best }) => best?.cost.trainSeconds ?? Number.POSITIVE_INFINITY,
      cell: ({ best }) => (best?.cost.trainSeconds == null ? '–' : formatDuration(best.cost.trainSeconds)),
    },
    {
      id: 'size',
      head: 'Size',
      align: 'right',
      from: 'md',
      sort: ({ best }) => best?.cost.modelBytes ?? Number.POSITIVE_INFINITY,
      cell: ({ best }) => (best === null ? '–' : formatBytes(best.cost.modelBytes)),
    },
  ];
}

function RunLink({ run, model }: { run: string; model: string }): ReactNode {
  return (
    <span className="inline-flex flex-wrap items-baseline gap-x-2">
      <Link to="/runs/$name" params={{ name: run }} className="font-medium text-accent underline-offset-2 hover:underline">
        {run}
      </Link>
      <span className="text-xs text-ink-2">{model}</span>
    </span>
  );
}

function Value({ result }: { result: GateResult | undefined }): ReactNode {
  if (result?.value == null) return <span className="text-ink-3">not measured</span>;
  return <span className="tabular-nums">{formatNumber(result.value)}</span>;
}

function Passed({ criteria }: { criteria: readonly GateResult[] }): ReactNode {
  const told = gatesStatus(criteria);
  return told === undefined ? '–' : <StatusBadge status={told} />;
}
