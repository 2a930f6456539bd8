import { type Rollout, type TransferCounts, transferOf } from '@selvedge/contract';
import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { formatBytes, formatShare, plural } from '../../lib/format.ts';
import { useResource } from '../../lib/queries.ts';
import { rolloutStatus } from '../../lib/status.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { RolloutActions } from './rollout-actions.tsx';
import { RolloutArms } from './rollout-arms.tsx';
import { RolloutDevices } from './rollout-devices.tsx';
import { RolloutGates } from './rollout-gates.tsx';
import { RolloutWaves } from './rollout-waves.tsx';

/** A rollout: its waves, its devices, and every gate with its numbers. */
export function RolloutPage(): ReactNode {
  const { name } = useParams({ from: '/shell/rollouts/$name' });
  const rollout = useResource('Rollout', name);
  return (
    <Page
      title={name}
      trail={
        <Link to="/rollouts" className="hover:underline">
          Rollouts
        </Link>
      }
      beside={rollout.data !== undefined && <StatusBadge status={rolloutStatus(rollout.data.status.phase)} />}
      actions={
        <>
          <CliHint commands={[`selvedge rollout show ${name}`, `selvedge rollout watch ${name}`, ...commandsOf(rollout.data)]} />
          {rollout.data !== undefined && <RolloutActions rollout={rollout.data} />}
        </>
      }
    >
      <QueryView query={rollout} label={`rollout ${name}`} rows={6}>
        {(data) => <Body rollout={data} />}
      </QueryView>
    </Page>
  );
}

function commandsOf(rollout: Rollout | undefined): string[] {
  if (rollout === undefined || rollout.status.phase === 'superseded') return [];
  const { name } = rollout.metadata;
  const isOver = ['succeeded', 'failed', 'aborted'].includes(rollout.status.phase);
  return isOver ? [`selvedge rollout retry ${name}`] : [`selvedge rollout pause ${name}`, `selvedge rollout abort ${name}`];
}

function Body({ rollout }: { rollout: Rollout }): ReactNode {
  const { status } = rollout;
  const hasArms = status.devices.some(({ arms }) => arms.length > 0);
  return (
    <div className="grid gap-4">
      {status.message !== '' && (
        <p
          className={`rounded-lg border border-line px-4 py-2.5 text-sm break-words ${status.phase === 'failed' || status.phase === 'reverting' ? 'bg-bad-soft text-bad' : 'bg-surface'}`}
        >
          {status.message}
        </p>
      )}
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)]">
        <Card title="Waves">
          <RolloutWaves rollout={rollout} />
        </Card>
        <Card title="What it is about">
          <Facts rollout={rollout} />
        </Card>
      </div>
      <Card title={plural(status.devices.length, 'device')}>
        <RolloutDevices rollout={rollout} />
      </Card>
      <Card title="Gates" flush>
        <RolloutGates rollout={rollout} />
      </Card>
      {hasArms && (
        <Card title="Versions beside each other" flush>
          <RolloutArms rollout={rollout} />
        </Card>
      )}
    </div>
  );
}

function Sent({ transfer }: { transfer: TransferCounts }): ReactNode {
  const { fetchedBytes, wholeBytes, sharedBytes, patchedBytes } = transfer;
  const share = wholeBytes === 0 ? 0 : fetchedBytes / wholeBytes;
  return (
    <span title={`${formatBytes(sharedBytes)} were on the devices, ${formatBytes(patchedBytes)} came as patches`}>
      {formatBytes(fetchedBytes)} of {formatBytes(wholeBytes)} ({formatShare(share)})
    </span>
  );
}

function Facts({ rollout }: { rollout: Rollout }): ReactNode {
  const { spec, status } = rollout;
  const { policy } = spec;
  const transfer = transferOf(status);
  const model = (
    <Link to="/models/$name" params={{ name: spec.model }} className="underline-offset-2 hover:underline">
      {spec.model}
    </Link>
  );
  const version = spec.fromVersion === '' ? spec.toVersion : `${spec.fromVersion} → ${spec.toVersion}`;
  return (
    <KeyValue
      wrap
      items={[
        ['Model', model],
        ['Version', version],
        ['Deployment', spec.inferenceModel],
        ['Cause', spec.cause],
        ['Strategy', policy.strategy ?? 'all-at-once'],
        ['Trial', policy.trial === undefined ? 'none' : `${policy.trial.durationS} s on each device`],
        ...(status.golden === null ? [] : [['Golden set', `${status.golden.samples} samples of ${policy.golden?.dataset}`] as const]),
        ...((policy.windows ?? []).length === 0
          ? []
          : [['Windows', (policy.windows ?? []).map(({ from, to }) => `${from}–${to}`).join(', ')] as const]),
        ...(transfer === undefined ? [] : [['Sent', <Sent key="sent" transfer={transfer} />] as const]),
        ['Attempt', status.attempt],
        ['Started', <RelativeTime key="started" at={status.startedAt} />],
        ['Ended', status.finishedAt === null ? 'not yet' : <RelativeTime key="ended" at={status.finishedAt} />],
      ]}
    />
  );
}
