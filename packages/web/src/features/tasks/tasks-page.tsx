import type { Task } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { plural } from '../../lib/format.ts';
import { useList } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { NameLink } from '../../ui/name-link.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { type Column, Table } from '../../ui/table.tsx';

interface Row {
  readonly task: Task;
  readonly pipelines: readonly string[];
}

/** What models are made for: every task, with the pipelines that try it. */
export function TasksPage(): ReactNode {
  const tasks = useList('Task');
  const pipelines = useList('Pipeline');
  const rows = (tasks.data ?? []).map(
    (task): Row => ({
      task,
      pipelines: (pipelines.data ?? []).filter(({ spec }) => spec.task === task.metadata.name).map(({ metadata }) => metadata.name),
    }),
  );
  return (
    <Page
      title="Tasks"
      actions={<CliHint commands={['selvedge task list', 'selvedge apply -f task.yaml', 'selvedge task compare NAME']} />}
    >
      <Card flush>
        <QueryView query={tasks} label="tasks" rows={4}>
          {() =>
            rows.length === 0 ? (
              <EmptyState icon="task" title="No task yet" command="selvedge apply -f task.yaml">
                A task says what a model is for and how models are judged; pipelines that name it are compared by that.
              </EmptyState>
            ) : (
              <Table caption="Tasks" columns={COLUMNS} rows={rows} keyOf={({ task }) => task.metadata.uid} />
            )
          }
        </QueryView>
      </Card>
    </Page>
  );
}

const COLUMNS: readonly Column<Row>[] = [
  {
    id: 'name',
    head: 'Task',
    sort: ({ task }) => task.metadata.name,
    className: 'max-w-48 sm:max-w-64',
    cell: ({ task }) => <NameLink to="/tasks/$name" name={task.metadata.name} />,
  },
  {
    id: 'description',
    head: 'What for',
    from: 'md',
    className: 'max-w-96 truncate text-ink-2',
    cell: ({ task }) => <span title={task.spec.description}>{task.spec.description}</span>,
  },
  {
    id: 'pipelines',
    head: 'Pipelines',
    sort: ({ pipelines }) => pipelines.length,
    first: 'descending',
    cell: ({ pipelines }) => (
      <span title={pipelines.join(', ')}>{pipelines.length === 0 ? 'none' : plural(pipelines.length, 'pipeline')}</span>
    ),
  },
  {
    id: 'changed',
    head: 'Changed',
    align: 'right',
    from: 'sm',
    sort: ({ task }) => task.metadata.updatedAt,
    cell: ({ task }) => <RelativeTime at={task.metadata.updatedAt} />,
  },
];
