import type { Rollout, TrialArm } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { type ArmComparison, compareArms, ratioText } from '../../lib/arms.ts';
import { formatMs, formatNumber, formatShare, plural } from '../../lib/format.ts';
import { PairedBars } from '../../ui/paired-bars.tsx';
import { type Column, Table } from '../../ui/table.tsx';

interface ArmRow {
  readonly device: string;
  readonly arm: TrialArm;
}

/** How both versions did on the same traffic, with shadow and split. */
export function RolloutArms({ rollout }: { rollout: Rollout }): ReactNode {
  const rows: ArmRow[] = rollout.status.devices.flatMap(({ device, arms }) => arms.map((arm) => ({ device, arm })));
  const comparison = compareArms(rollout);
  return (
    <>
      {comparison !== undefined && <Comparison comparison={comparison} rollout={rollout} />}
      <Table
        caption="Requests and latency of each version"
        columns={ARMS}
        rows={rows}
        keyOf={({ device, arm }) => `${device} ${arm.version}`}
      />
    </>
  );
}

/** Both versions as pairs of bars, over all devices that tried both. */
function Comparison({ comparison, rollout }: { comparison: ArmComparison; rollout: Rollout }): ReactNode {
  const { devices, before, after, p95Ratio } = comparison;
  const { strategy, gates = {} } = rollout.spec.policy;
  const arms = [
    { ...before, label: `version ${before.versions.join(', ')}` },
    { ...after, label: `version ${after.versions.join(', ')}` },
  ] as const;
  const pair = (read: (arm: ArmComparison['after']) => number | null, format: (value: number) => string) => {
    const bar = (arm: (typeof arms)[number]) => {
      const value = read(arm);
      return { label: arm.label, value, text: value === null ? '–' : format(value) };
    };
    return [bar(arms[0]), bar(arms[1])] as const;
  };
  const atMost = (bar: number | undefined, format: (value: number) => string) =>
    bar === undefined ? '' : `Gate: at most ${format(bar)}. `;
  return (
    <div className="grid gap-x-8 gap-y-5 border-b border-line p-4 sm:grid-cols-3">
      <PairedBars
        title="Requests"
        bars={pair(({ requests }) => requests, formatNumber)}
        ratio={ratioText(before.requests, after.requests)}
        note={strategy === 'shadow' ? 'The new version sees what the old one answers.' : `On ${plural(devices, 'device')}.`}
      />
      <PairedBars
        title="Error rate"
        bars={pair(({ errorRate }) => errorRate, formatShare)}
        ratio={ratioText(before.errorRate, after.errorRate)}
        note={`${atMost(gates.errorRate, formatShare)}Over all requests.`}
      />
      <PairedBars
        title="p95 latency"
        bars={pair(({ p95Ms }) => p95Ms, formatMs)}
        ratio={p95Ratio === null ? '–' : ratioText(1, p95Ratio)}
        note={`${atMost(gates.p95Ratio, (value) => `× ${value}`)}Median over devices.`}
      />
    </div>
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
  {
    id: 'confidence',
    head: 'Confidence',
    align: 'right',
    from: 'sm',
    cell: ({ arm }) => (arm.meanConfidence === null ? '–' : formatNumber(arm.meanConfidence)),
  },
];
