import { AT_LEAST_GATES, type Rollout, type TrialCheck } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { formatNumber } from '../../lib/format.ts';
import { checkStatus } from '../../lib/status.ts';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';

interface Row {
  readonly where: string;
  readonly check: TrialCheck;
}

const number = (value: number | null): string => (value === null ? '–' : formatNumber(value));

/** Every gate that was looked at, over waves first and then on each device: value, what it was before, bar, verdict. */
export function RolloutGates({ rollout }: { rollout: Rollout }): ReactNode {
  const { waves, devices } = rollout.status;
  const rows: Row[] = [
    ...waves.flatMap(({ index, checks }) => checks.map((check) => ({ where: `Wave ${index + 1}`, check }))),
    ...devices.flatMap(({ device, checks }) => checks.map((check) => ({ where: device, check }))),
  ];
  if (rows.length === 0)
    return (
      <p className="px-4 py-6 text-center text-sm text-ink-2">
        {rollout.spec.policy.trial === undefined ? 'No trial: devices take the version as it is.' : 'Nothing is measured yet.'}
      </p>
    );
  return <Table caption="Gates with their numbers" columns={GATES} rows={rows} keyOf={({ where, check }) => `${where} ${check.gate}`} />;
}

const GATES: readonly Column<Row>[] = [
  {
    id: 'where',
    head: 'Where',
    sort: ({ where }) => where,
    className: 'max-w-32 truncate sm:max-w-64',
    cell: ({ where }) => <span title={where}>{where}</span>,
  },
  {
    id: 'gate',
    head: 'Gate',
    sort: ({ check }) => check.gate,
    cell: ({ check }) => <span className="font-mono text-xs">{check.gate}</span>,
  },
  { id: 'value', head: 'Value', align: 'right', sort: ({ check }) => check.value, cell: ({ check }) => number(check.value) },
  { id: 'baseline', head: 'Before', align: 'right', from: 'md', cell: ({ check }) => number(check.baseline) },
  {
    id: 'bar',
    head: 'Bar',
    align: 'right',
    from: 'sm',
    cell: ({ check }) => `${AT_LEAST_GATES.has(check.gate) ? '≥' : '≤'} ${formatNumber(check.bar)}`,
  },
  { id: 'samples', head: 'Samples', align: 'right', from: 'md', cell: ({ check }) => check.samples.toLocaleString('en') },
  {
    id: 'verdict',
    head: 'Verdict',
    sort: ({ check }) => Number(check.passed ?? true),
    cell: ({ check }) => <StatusBadge status={checkStatus(check)} />,
  },
];
