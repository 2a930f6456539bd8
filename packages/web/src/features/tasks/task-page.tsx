import type { ComparedPipeline, GateResult, Task, TaskComparison } from '@selvedge/contract';
import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { formatBytes, formatDuration } from '../../lib/format.ts';
import { gatesStatus, gateValue } from '../../lib/gates.ts';
import { useResource, useTaskComparison } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { NameLink } from '../../ui/name-link.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';

/** A task: its pipelines side by side, by what it judges models by. */
export function TaskPage(): ReactNode {
  const { name } = useParams({ from: '/shell/tasks/$name' });
  const comparison = useTaskComparison(name);
  const task = useResource('Task', name);
  return (
    <Page
      title={name}
      trail={
        <Link to="/tasks" className="hover:underline">
          Tasks
        </Link>
      }
      actions={<CliHint commands={[`selvedge task compare ${name}`, `selvedge task compare ${name} --require`]} />}
    >
      <div className="grid gap-4">
        <QueryView query={comparison} label={`task ${name}`} rows={4}>
          {(data) => <Comparison comparison={data} />}
        </QueryView>
        {task.data !== undefined && <Description task={task.data} />}
      </div>
    </Page>
  );
}

/** The task in its own words: all that it says and no machine reads. */
function Description({ task }: { task: Task }): ReactNode {
  const { description, output, constraints, archives, evaluation_dataset: data } = task.spec;
  return (
    <Card title="What the task says">
      <KeyValue
        wrap
        items={[
          ['Description', description],
          ['Output', output],
          ['Constraints', constraints],
          ['Archives', typeof archives === 'string' ? archives : archives.join('; ')],
          ['Evaluation data', data],
        ]}
      />
    </Card>
  );
}

function Comparison({ comparison }: { comparison: TaskComparison }): ReactNode {
  const { criteria, issues, costFunction, pipelines, task } = comparison;
  return (
    <div className="grid gap-4">
      <Card title="How models are judged">
        <KeyValue
          wrap
          items={[
            ['Criteria', <CriteriaLines key="criteria" criteria={criteria} />],
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

function CriteriaLines({ criteria }: { criteria: readonly string[] }): ReactNode {
  if (criteria.length === 0) return 'none that a machine can check';
  return (
    <ul>
      {criteria.map((line) => (
        <li key={line} className="font-mono text-xs leading-5.5">
          {line}
        </li>
      ))}
    </ul>
  );
}

function columnsOf(criteria: readonly string[]): Column<ComparedPipeline>[] {
  return [
    {
      id: 'pipeline',
      head: 'Pipeline',
      sort: ({ pipeline }) => pipeline,
      className: 'max-w-40 sm:max-w-64',
      cell: ({ pipeline }) => <NameLink to="/pipelines/$name" name={pipeline} />,
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
  const tone = result.passed === null ? '' : result.passed ? 'text-ok' : 'text-bad';
  const told = result.passed === null ? '' : result.passed ? ', passed' : ', not passed';
  return (
    <span className={`tabular-nums ${tone}`} title={result.message}>
      {gateValue(result.metric, result.value)}
      <span className="sr-only">{told}</span>
    </span>
  );
}

function Passed({ criteria }: { criteria: readonly GateResult[] }): ReactNode {
  const told = gatesStatus(criteria);
  return told === undefined ? '–' : <StatusBadge status={told} />;
}
