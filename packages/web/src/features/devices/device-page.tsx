import { budgetText, clockFault, type Device, locationOf } from '@selvedge/contract';
import { Link, useParams } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { useNow } from '../../lib/clock.ts';
import { formatBytes, formatDateTime, formatRelative } from '../../lib/format.ts';
import { targetsOf } from '../../lib/native.ts';
import { useList, useResource } from '../../lib/queries.ts';
import { deviceStatus } from '../../lib/status.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { CopyButton } from '../../ui/copy-button.tsx';
import { Icon } from '../../ui/icon.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { LabelList } from '../../ui/label-list.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { OperationList } from '../operations/operation-list.tsx';
import { BundleDialog } from './bundle-dialog.tsx';
import { DeviceLogs } from './device-logs.tsx';
import { EditDeviceButton } from './edit-device-dialog.tsx';
import { LinkQuality } from './link-quality.tsx';
import { RemoveDeviceDialog } from './remove-device-dialog.tsx';
import { ResultsCard } from './results-card.tsx';
import { TelemetryCard } from './telemetry-card.tsx';
import { WorkloadList } from './workload-list.tsx';

/** One device: what it is, what it runs, how it does, and how it proves who it is. */
export function DevicePage(): ReactNode {
  const { name } = useParams({ from: '/shell/devices/$name' });
  const device = useResource('Device', name);
  const [removing, setRemoving] = useState(false);
  const [bundling, setBundling] = useState(false);
  return (
    <Page
      title={name}
      trail={
        <Link to="/devices" className="hover:underline">
          Devices
        </Link>
      }
      beside={device.data !== undefined && <StatusBadge status={deviceStatus(device.data)} />}
      actions={
        <>
          <CliHint commands={[`selvedge device show ${name}`, `selvedge device logs ${name} -f`, `selvedge device remove ${name}`]} />
          <Button icon="download" disabled={device.data === undefined} onClick={() => setBundling(true)}>
            Export bundle
          </Button>
          <Button variant="danger" icon="trash" disabled={device.data === undefined} onClick={() => setRemoving(true)}>
            Remove
          </Button>
        </>
      }
    >
      <QueryView query={device} label={`device ${name}`} rows={8}>
        {(data) => <DeviceDetail device={data} />}
      </QueryView>
      <RemoveDeviceDialog name={name} open={removing} onOpenChange={setRemoving} />
      <BundleDialog device={name} open={bundling} onOpenChange={setBundling} />
    </Page>
  );
}

function DeviceDetail({ device }: { device: Device }): ReactNode {
  const { workloads, conflict } = device.status;
  return (
    <div className="grid gap-4">
      {conflict !== null && <ConflictWarning conflict={conflict} />}
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.6fr)_minmax(0,1fr)]">
        <div className="grid min-w-0 gap-4">
          <Card title="Workloads" flush>
            <WorkloadList workloads={workloads} />
          </Card>
          <TelemetryCard device={device.metadata.name} />
          <ResultsCard device={device.metadata.name} />
          <OperationsCard device={device.metadata.name} />
          <DeviceLogs device={device} />
        </div>
        <div className="grid min-w-0 gap-4">
          <Card title="Device" actions={<EditDeviceButton device={device} />}>
            <DeviceFacts device={device} />
          </Card>
          <Card title="Certificate">
            <CertificateFacts device={device} />
          </Card>
        </div>
      </div>
    </div>
  );
}

/** What was asked of this device; the newest of it. */
function OperationsCard({ device }: { device: string }): ReactNode {
  const operations = useList('Operation');
  return (
    <Card
      title="Operations"
      flush
      actions={
        <Link to="/operations" className="text-xs text-ink-2 hover:underline">
          All operations
        </Link>
      }
    >
      <QueryView query={operations} label="operations" rows={3}>
        {(list) => (
          <OperationList
            operations={list.filter(({ status }) => status.devices.some((one) => one.device === device))}
            device={device}
            limit={10}
          />
        )}
      </QueryView>
    </Card>
  );
}

function ConflictWarning({ conflict }: { conflict: NonNullable<Device['status']['conflict']> }): ReactNode {
  return (
    <div role="alert" className="flex items-start gap-3 rounded-lg border border-bad/50 bg-bad-soft p-4 text-sm">
      <Icon name="warning" className="mt-0.5 text-bad" />
      <div className="min-w-0">
        <p className="font-semibold">Two agents use the identity of this device</p>
        <p className="mt-0.5 text-ink-2">
          A certificate was copied, or the device was cloned with its data folder. Stop one of them, or remove the device and let both join
          anew.
        </p>
        <ul className="mt-2 grid gap-0.5 font-mono text-xs">
          {conflict.instances.map((instance) => (
            <li key={instance.instanceId} className="truncate" title={instance.instanceId}>
              {instance.address} · agent {instance.instanceId.slice(0, 8)} · <RelativeTime at={instance.lastSeenAt} />
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function DeviceFacts({ device }: { device: Device }): ReactNode {
  const { info, lastSeenAt, joinedAt, observedRevision, byBundle, upkeep } = device.status;
  const { description, notes } = device.spec;
  const location = locationOf(device);
  const fault = clockFault(device);
  return (
    <KeyValue
      items={[
        ...(description === undefined ? [] : ([['Description', description]] as const)),
        ...(notes === undefined ? [] : ([['Notes', <Notes key="notes" text={notes} />, notes]] as const)),
        ...(location === undefined
          ? []
          : ([['Location', locationText(location), location.source === 'set' ? 'Set by an operator' : 'As the device says']] as const)),
        ...(fault === undefined ? [] : ([['Clock', `off by ${fault}`, 'Compared with the server']] as const)),
        ['Last seen', <RelativeTime key="seen" at={lastSeenAt} />],
        ...(upkeep?.link === undefined
          ? []
          : ([
              [
                'Link',
                <LinkQuality key="link" link={upkeep.link} full />,
                'Round trip, downloads and reconnects, as its agent measures them',
              ],
            ] as const)),
        ...(byBundle === undefined
          ? []
          : ([['By bundle', <RelativeTime key="bundle" at={byBundle.importedAt} />, byBundle.bundle ?? 'No bundle applied']] as const)),
        ['Joined', <RelativeTime key="joined" at={joinedAt} />],
        ['Labels', <LabelList key="labels" labels={device.metadata.labels} limit={20} />],
        ...(info === null
          ? ([['System', 'not reported yet']] as const)
          : ([
              ['Host', info.hostname],
              ['System', `${info.platform} ${info.arch}`],
              ['Release', info.osRelease],
              ['Processor', `${info.cpus} × ${info.cpuModel}`],
              ['Memory', formatBytes(info.memoryBytes)],
              ['Agent', info.agentVersion],
              ['Packages', targetsOf(device).join(', ') || 'none', 'Targets whose native packages it runs'],
            ] as const)),
        ['Revision', `${observedRevision}`],
        ...upkeepFacts(device),
      ]}
    />
  );
}

/** What it keeps to be sent, and uses of its budgets. */
function upkeepFacts({ status }: Device): (readonly [string, string, string])[] {
  const { spool, budgets } = status.upkeep ?? {};
  const facts: (readonly [string, string, string])[] = [];
  if (spool !== undefined) {
    const lost = spool.dropped === 0 ? '' : `, ${spool.dropped} given up`;
    const joined = spool.aggregated === 0 ? '' : `, ${spool.aggregated} put together with others`;
    const size = `${formatBytes(spool.usedBytes)} of ${formatBytes(spool.budgetBytes)}`;
    facts.push(['To send', `${spool.waiting} (${size})${joined}${lost}`, 'Samples and results that wait on its disk']);
  }
  if (budgets !== undefined) {
    const of = (used: number, budget: number | null) => `${formatBytes(used)}${budget === null ? '' : ` of ${formatBytes(budget)}`}`;
    const { waits, trafficBytes, trafficBudgetBytes, diskBytes, diskBudgetBytes, inEffect = [] } = budgets;
    const until = waits === null || waits.untilAt === null ? '' : ` Until ${formatDateTime(Date.parse(waits.untilAt))}.`;
    const why = waits === null ? '' : `. ${waits.message}${until}`;
    facts.push(['Traffic today', `${of(trafficBytes, trafficBudgetBytes)}${why}`, "Of the agent's own connections"]);
    if (diskBytes !== null) facts.push(['Agent disk', of(diskBytes, diskBudgetBytes), 'Versions, spool and logs']);
    if (inEffect.length > 0)
      facts.push(['Budgets', inEffect.map(budgetText).join(', '), 'What is set, and by whom; the stricter value holds']);
  }
  return facts;
}

/** As they were written, line by line. */
function Notes({ text }: { text: string }): ReactNode {
  return <span className="break-words whitespace-pre-wrap">{text}</span>;
}

function locationText({ latitude, longitude, place }: { latitude: number; longitude: number; place?: string | undefined }): string {
  return `${place === undefined ? '' : `${place}, `}${latitude}, ${longitude}`;
}

function CertificateFacts({ device }: { device: Device }): ReactNode {
  const { serial, fingerprint256, notAfter } = device.status.certificate;
  const now = useNow(60_000);
  const endMs = Date.parse(notAfter);
  return (
    <div className="grid gap-2">
      <KeyValue
        items={[
          ['Valid until', `${formatDateTime(endMs).slice(0, 10)} (${endMs < now ? 'expired ' : ''}${formatRelative(endMs, now)})`],
          [
            'Serial',
            <span key="serial" className="font-mono text-xs">
              {serial}
            </span>,
            serial,
          ],
          [
            'SHA-256',
            <span key="fingerprint" className="font-mono text-xs">
              {fingerprint256}
            </span>,
            fingerprint256,
          ],
        ]}
      />
      <div className="-mb-1 -ml-2">
        <CopyButton text={fingerprint256} label="Copy fingerprint" />
      </div>
    </div>
  );
}
