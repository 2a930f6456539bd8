import { AT_LEAST_GATES, type Rollout, type TrialArm, type TrialCheck } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { formatMs, formatNumber, formatShare } from '../../lib/format.ts';
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

interface ArmRow {
  readonly device: string;
  readonly arm: TrialArm;
}

/** How both versions did on the same traffic, with shadow and split. */
export function RolloutArms({ rollout }: { rollout: Rollout }): ReactNode {
  const rows: ArmRow[] = rollout.status.devices.flatMap(({ device, arms }) => arms.map((arm) => ({ device, arm })));
  return (
    <Table
      caption="Requests and latency of each version"
      columns={ARMS}
      rows={rows}
      keyOf={({ device, arm }) => `${device} ${arm.version}`}
    />
  );
}

const ARMS: readonly Column<ArmRow>[] = [
  { id: 'device', head: 'Device', sort: ({ device }) => device, className: 'max-w-40 truncate sm:max-w-64', cell: ({ device }) => device },
  { id: 'version', head: 'Version', cell: ({ arm }) => <span className="font-mono text-xs">{arm.version}</span> },
  {
    id: 'requests',
    head: 'Requests',
    align: 'right',
    sort: ({ arm }) => arm.requests,
    cell: ({ arm }) => arm.requests.toLocaleString('en'),
  },
  {
    id: 'errors',
    head: 'Errors',
    align: 'right',
    from: 'sm',
    cell: ({ arm }) => (arm.requests === 0 ? '–' : formatShare(arm.errors / arm.requests)),
  },
  { id: 'p50', head: 'p50', align: 'right', from: 'md', cell: ({ arm }) => (arm.p50Ms === null ? '–' : formatMs(arm.p50Ms)) },
  { id: 'p95', head: 'p95', align: 'right', cell: ({ arm }) => (arm.p95Ms === null ? '–' : formatMs(arm.p95Ms)) },
  { id: 'confidence', head: 'Confidence', align: 'right', from: 'sm', cell: ({ arm }) => number(arm.meanConfidence) },
];
