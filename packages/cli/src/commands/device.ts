import { API_VERSION, AppError, type Device } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { collectLabels, integer, seconds } from '../options.ts';
import { ageOf, formatAge, formatBytes, formatLabels, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { registerDeviceActions, registerDeviceExec } from './device-exec.ts';
import { registerDeviceFiles } from './device-files.ts';
import { registerDeviceLogs } from './device-logs.ts';
import { registerDeviceShell } from './device-shell.ts';

const TTL_RANGE = '60s to 30d';

interface TokenOptions {
  ttl?: number;
  uses?: number;
  label?: Record<string, string>;
}

function stateOf(device: Device): string {
  if (device.status.conflict !== null) return 'conflict';
  return device.status.online ? 'online' : 'offline';
}

function servingOf(device: Device): string {
  const serving = device.status.workloads.map((one) => `${one.model}:${one.servingVersion ?? one.state}`);
  return orDash(serving.join(' '));
}

function deviceTable(session: Session, devices: readonly Device[]): string {
  const now = session.io.now();
  const rows = devices.map((device) => [
    device.metadata.name,
    session.state(stateOf(device)),
    servingOf(device),
    device.status.info === null ? '-' : `${device.status.info.platform}-${device.status.info.arch}`,
    ageOf(device.status.lastSeenAt, now),
    ageOf(device.status.joinedAt, now),
    formatLabels(device.metadata.labels),
  ]);
  return renderTable(['DEVICE', 'STATE', 'SERVING', 'ARCH', 'SEEN', 'AGE', 'LABELS'], rows);
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
    ['Joined', `${ageOf(status.joinedAt, now)} ago`],
    ['Certificate', `until ${status.certificate.notAfter.slice(0, 10)}, serial ${status.certificate.serial}`],
    ['Machine', info === null ? '-' : `${info.platform}-${info.arch}, ${info.cpus} × ${info.cpuModel}, ${info.osRelease}`],
    ['Agent', info === null ? '-' : `${info.agentVersion} on ${info.hostname}`],
    ...telemetryFields(device),
  ]);
  const parts = [facts];
  if (status.workloads.length > 0) parts.push(workloadTable(session, device));
  if (status.conflict !== null) {
    const agents = status.conflict.instances.map((one) => `  ${one.address} (seen ${ageOf(one.lastSeenAt, now)} ago)`).join('\n');
    parts.push(`Two agents use this identity since ${status.conflict.since}:\n${agents}`);
  }
  return parts.join('\n\n');
}

function registerToken(command: Command, io: Io): void {
  const token = command
    .command('token')
    .description('make a token with which devices join')
    .option('--ttl <span>', `how long it works, ${TTL_RANGE} (default: 1h)`, seconds(60, 30 * 86_400, TTL_RANGE))
    .option('--uses <count>', 'how many devices may join with it (default: 1)', integer(1, 100_000))
    .option('--label <key=value>', 'label of the devices that join with it; may be repeated', collectLabels)
    .action(async (options: TokenOptions, called: Command) => {
      const session = await openSession(called, io);
      const made = await session.client.createDeviceToken({
        body: {
          ...(options.ttl === undefined ? {} : { ttlS: options.ttl }),
          ...(options.uses === undefined ? {} : { uses: options.uses }),
          ...(options.label === undefined ? {} : { labels: options.label }),
        },
        signal: io.signal,
      });
      await session.result(made, () => made.token);
      const devices = made.uses === 1 ? 'one device' : `${made.uses} devices`;
      session.note(
        `It lets ${devices} join within ${formatAge(Date.parse(made.expiresAt) - io.now())}. On the device:\n  ${made.joinCommand}`,
      );
    });
  finishLeaf(token, { examples: ['selvedge device token', 'selvedge device token --uses 20 --ttl 2h --label site=plant-3'] });
}

function registerLabel(command: Command, io: Io): void {
  const label = command
    .command('label <name> <changes...>')
    .description('set labels (key=value) and take labels away (key-)')
    .action(async (name: string, changes: string[], _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const device = await getOne(session, 'Device', name);
      const labels = { ...device.metadata.labels };
      for (const change of changes) {
        const at = change.indexOf('=');
        if (at > 0) labels[change.slice(0, at)] = change.slice(at + 1);
        else if (at < 0 && change.endsWith('-') && change.length > 1) delete labels[change.slice(0, -1)];
        else throw new AppError('USAGE', { message: `"${change}" is neither key=value nor key-.` });
      }
      const { annotations } = device.metadata;
      const document = { apiVersion: API_VERSION, kind: 'Device' as const, metadata: { name, labels, annotations }, spec: device.spec };
      await session.client.apply({ body: { documents: [document] }, signal: io.signal });
      await session.result(await getOne(session, 'Device', name), () => `${name}: ${formatLabels(labels)}`);
    });
  finishLeaf(label, { examples: ['selvedge device label edge-1 site=plant-3 line=4 spare-'] });
}

function registerShowAndList(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show the devices')
    .option('-l, --selector <labels>', 'only those with these labels, like site=plant-3,line=4')
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
  registerShowAndList(command, io);
  registerLabel(command, io);
  registerDeviceFiles(command, io);
  registerDeviceExec(command, io);
  registerDeviceLogs(command, io);
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
