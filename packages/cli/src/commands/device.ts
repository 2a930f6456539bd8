import { clockFault, type Device, linkText, locationOf } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { ageOf, formatBytes, formatLabels, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { registerDeviceActions, registerDeviceExec } from './device-exec.ts';
import { registerDeviceFiles } from './device-files.ts';
import { registerInventory } from './device-inventory.ts';
import { registerApproval, registerSignRequest, registerToken } from './device-join.ts';
import { registerDeviceLogs } from './device-logs.ts';
import { registerDeviceResults, upkeepFields } from './device-results.ts';
import { registerDeviceChanges } from './device-set.ts';
import { registerDeviceShell } from './device-shell.ts';

function stateOf(device: Device): string {
  if (device.status.conflict !== null) return 'conflict';
  return device.status.online ? 'online' : 'offline';
}

function servingOf(device: Device): string {
  const serving = device.status.workloads.map((one) => `${one.model}:${one.servingVersion ?? one.state}`);
  return orDash(serving.join(' '));
}

function linkOf({ status }: Device): string {
  const link = status.upkeep?.link;
  return link === undefined ? '-' : linkText(link);
}

function deviceTable(session: Session, devices: readonly Device[]): string {
  const now = session.io.now();
  const rows = devices.map((device) => [
    device.metadata.name,
    session.state(stateOf(device)),
    servingOf(device),
    linkOf(device),
    device.status.info === null ? '-' : `${device.status.info.platform}-${device.status.info.arch}`,
    ageOf(device.status.lastSeenAt, now),
    ageOf(device.status.joinedAt, now),
    formatLabels(device.metadata.labels),
  ]);
  return renderTable(['DEVICE', 'STATE', 'SERVING', 'LINK', 'ARCH', 'SEEN', 'AGE', 'LABELS'], rows);
}

function share(used: number | null, total: number | null): string {
  return used === null || total === null ? '-' : `${formatBytes(used)} of ${formatBytes(total)}`;
}

function telemetryFields(device: Device): [string, string][] {
  const sample = device.status.telemetry;
  if (sample === null) return [];
  return [
    ['CPU', sample.cpu === null ? '-' : `${Math.round(sample.cpu * 100)} %`],
    ['Memory', share(sample.memoryUsedBytes, sample.memoryTotalBytes)],
    ['Disk', share(sample.diskUsedBytes, sample.diskTotalBytes)],
    ['Temperature', sample.temperatureC === null ? '-' : `${sample.temperatureC.toFixed(0)} °C`],
  ];
}

function placeFields(device: Device): [string, string][] {
  const { spec, status } = device;
  const fields: [string, string][] = [];
  const location = locationOf(device);
  if (location !== undefined) {
    const place = location.place === undefined ? '' : `${location.place}, `;
    fields.push([
      'Location',
      `${place}${location.latitude}, ${location.longitude} (${location.source === 'set' ? 'set' : 'from the device'})`,
    ]);
  }
  if (status.address !== undefined) fields.push(['Address', status.address]);
  const fault = clockFault(device);
  if (fault !== undefined) fields.push(['Clock', `off by ${fault}`]);
  if (spec.notes !== undefined) fields.push(['Notes', spec.notes]);
  return fields;
}

function byBundleField({ bundle, importedAt }: NonNullable<Device['status']['byBundle']>): [string, string] {
  return ['By bundle', `at ${importedAt}${bundle === null ? '' : `, after ${bundle}`}`];
}

function workloadTable(session: Session, device: Device): string {
  const rows = device.status.workloads.map((one) => [
    one.name,
    session.state(one.state),
    `${one.model}:${orDash(one.servingVersion)}`,
    one.desiredVersion,
    orDash(one.previousVersion),
    orDash(one.port?.toString()),
    String(one.restarts),
    one.error === null ? '-' : `${one.error.code}: ${one.error.message}`,
  ]);
  return renderTable(['WORKLOAD', 'STATE', 'SERVING', 'DESIRED', 'PREVIOUS', 'PORT', 'RESTARTS', 'ERROR'], rows);
}

function describeDevice(session: Session, device: Device): string {
  const { status, metadata } = device;
  const now = session.io.now();
  const info = status.info;
  const facts = renderFields([
    ['Device', metadata.name],
    ['State', session.state(stateOf(device))],
    ['Labels', formatLabels(metadata.labels)],
    ['Seen', status.lastSeenAt === null ? 'never' : `${ageOf(status.lastSeenAt, now)} ago`],
    ...(status.byBundle === undefined ? [] : [byBundleField(status.byBundle)]),
    ['Joined', `${ageOf(status.joinedAt, now)} ago`],
    ['Certificate', `until ${status.certificate.notAfter.slice(0, 10)}, serial ${status.certificate.serial}`],
    ['Machine', info === null ? '-' : `${info.platform}-${info.arch}, ${info.cpus} × ${info.cpuModel}, ${info.osRelease}`],
    ['Agent', info === null ? '-' : `${info.agentVersion} on ${info.hostname}`],
    ...placeFields(device),
    ...telemetryFields(device),
    ...upkeepFields(device, now),
  ]);
  const parts = [facts];
  if (status.workloads.length > 0) parts.push(workloadTable(session, device));
  if (status.conflict !== null) {
    const agents = status.conflict.instances.map((one) => `  ${one.address} (seen ${ageOf(one.lastSeenAt, now)} ago)`).join('\n');
    parts.push(`Two agents use this identity since ${status.conflict.since}:\n${agents}`);
  }
  return parts.join('\n\n');
}

function registerShowAndList(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show the devices')
    .option('-l, --selector <labels>', 'only those with these labels, like site=plant-3,role!=spare or @group')
    .action(async (options: { selector?: string }, called: Command) => {
      const session = await openSession(called, io);
      const items = await listAll(session, 'Device', options.selector);
      await session.result({ items }, () => (items.length === 0 ? '' : deviceTable(session, items)));
      if (items.length === 0) session.note('No devices. "selvedge device token" makes a token with which one joins.');
    });
  finishLeaf(list, { examples: ['selvedge device list', 'selvedge device list -l site=plant-3'] });
  const show = command
    .command('show <name>')
    .description('show a device: what it is, what it serves, what went wrong')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const device = await getOne(session, 'Device', name);
      await session.result(device, () => describeDevice(session, device));
    });
  finishLeaf(show, { examples: ['selvedge device show edge-1'] });
}

export function registerDevice(command: Command, io: Io): void {
  registerToken(command, io);
  registerApproval(command, io);
  registerSignRequest(command, io);
  registerShowAndList(command, io);
  registerDeviceChanges(command, io);
  registerInventory(command, io);
  registerDeviceFiles(command, io);
  registerDeviceExec(command, io);
  registerDeviceLogs(command, io);
  registerDeviceResults(command, io);
  registerDeviceShell(command, io);
  registerDeviceActions(command, io);
  const remove = command
    .command('remove <name>')
    .description('remove a device: its certificate is revoked and its next packet refused')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      await session.client.deleteResource({ params: { plural: 'devices', name }, signal: io.signal });
      await session.result({ kind: 'Device', name, action: 'deleted' }, () => `Device/${name} removed`);
    });
  finishLeaf(remove, { examples: ['selvedge device remove edge-1'] });
}
