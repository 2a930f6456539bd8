import type { JobResources, Run } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { formatBytes, formatDuration } from '../../lib/format.ts';
import { Card } from '../../ui/card.tsx';
import { type Column, Table } from '../../ui/table.tsx';

interface Row extends JobResources {
  readonly step: string;
}

const MIB = 1024 * 1024;

const COLUMNS: readonly Column<Row>[] = [
  { id: 'step', head: 'Step', cell: (row) => <span className="font-medium">{row.step}</span> },
  { id: 'cpu', head: 'CPU time', align: 'right', cell: (row) => formatDuration(row.used.cpuSeconds) },
  {
    id: 'memory',
    head: 'Peak memory',
    align: 'right',
    cell: ({ used, granted }) => (
      <>
        {formatBytes(used.peakMemoryMiB * MIB)}
        <span className="text-ink-3">{granted.memoryMiB === null ? ', no limit' : ` of ${formatBytes(granted.memoryMiB * MIB)}`}</span>
      </>
    ),
  },
  {
    id: 'cpus',
    head: 'CPUs',
    align: 'right',
    cell: ({ asked, granted }) => (
      <>
        {granted.threads}
        {asked.cpus === undefined && <span className="text-ink-3"> by default</span>}
      </>
    ),
  },
  { id: 'nice', head: 'Nice', align: 'right', from: 'sm', cell: (row) => row.granted.nice },
  {
    id: 'gpus',
    head: 'GPUs',
    cell: ({ granted: { gpus } }) =>
      gpus.length === 0 ? <span className="text-ink-3">none</span> : gpus.map((gpu) => `${gpu.index} ${gpu.name}`).join(', '),
  },
  {
    id: 'enforced',
    head: 'Limits held by',
    from: 'sm',
    cell: ({ enforcedBy }) => (enforcedBy === 'cgroup' ? 'control group' : 'polling'),
  },
];

/** What the steps that ran in a process of their own were given and have used; nothing when there is none yet. */
export function StepResources({ run }: { run: Run }): ReactNode {
  const rows = run.status.steps.flatMap(({ name, resources }) => (resources === undefined ? [] : [{ step: name, ...resources }]));
  if (rows.length === 0) return null;
  return (
    <Card title="Resources" flush>
      <Table caption="Resources of the steps" columns={COLUMNS} rows={rows} keyOf={(row) => row.step} />
    </Card>
  );
}
