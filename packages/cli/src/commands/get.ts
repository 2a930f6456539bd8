import { type AnyResource, bundleState, type InferenceModel } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { ageOf, formatLabels, orDash } from '../output/format.ts';
import { type Cell, oneLine, renderTable } from '../output/table.ts';
import { getOne, listAll, parseKind } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

/** What a resource says of itself in a word or two. */
function stateOf(resource: AnyResource, nowMs: number): string {
  switch (resource.kind) {
    case 'Device':
      return resource.status.online ? 'online' : 'offline';
    case 'DeviceGroup':
      return resource.spec.selector || 'all devices';
    case 'Dataset':
      return resource.status.latestVersion === null ? 'no version' : `version ${resource.status.latestVersion}`;
    case 'DatasetVersion':
    case 'Run':
    case 'Package':
      return resource.status.phase;
    case 'Task':
      return `${resource.status.pipelines.length} pipelines`;
    case 'Pipeline':
      return orDash(resource.status.lastRunState);
    case 'Model':
      return resource.status.aliases.latest === undefined ? 'no version' : `version ${resource.status.aliases.latest}`;
    case 'ModelVersion':
      return `served by ${resource.status.servedBy}`;
    case 'InferenceModel':
      return servedState(resource);
    case 'Rollout':
      return resource.status.phase;
    case 'Operation':
      return resource.status.state;
    case 'Bundle':
      return bundleState(resource, nowMs);
  }
}

function servedState({ status }: InferenceModel): string {
  const serving = status.devices.filter((device) => device.state === 'serving').length;
  return `${serving} of ${status.devices.length} serving`;
}

function resourceTable(session: Session, resources: readonly AnyResource[]): string {
  const rows: Cell[][] = resources.map((resource) => [
    resource.metadata.name,
    session.state(stateOf(resource, session.io.now())),
    formatLabels(resource.metadata.labels),
    ageOf(resource.metadata.createdAt, session.io.now()),
  ]);
  return renderTable(['NAME', 'STATE', 'LABELS', 'AGE'], rows);
}

function servingTable(session: Session, { status }: InferenceModel): string {
  const rows = status.devices.map((one) => [
    one.device,
    session.state(one.state),
    orDash(one.servingVersion),
    orDash(one.runtime),
    orDash(one.url),
    one.message,
  ]);
  return `${renderTable(['DEVICE', 'STATE', 'VERSION', 'RUNTIME', 'URL', 'MESSAGE'], rows)}`;
}

/** Why it is not available, or what is going on: a reason is told once, however many conditions have it. */
function conditionLines({ status }: InferenceModel): string[] {
  const available = status.conditions.find((one) => one.type === 'Available');
  const lines: string[] = [];
  if (available !== undefined && available.status !== 'True') lines.push(`Not available: ${available.message || available.reason}`);
  const gates = status.conditions.find((one) => one.type === 'GatesPassed');
  if (gates !== undefined) lines.push(`Gates ${gates.status === 'True' ? 'passed' : 'not passed'}: ${gates.message}`);
  return lines.map(oneLine);
}

function oneTable(session: Session, resource: AnyResource): string {
  const table = resourceTable(session, [resource]);
  if (resource.kind !== 'InferenceModel') return table;
  const parts = [table, ...conditionLines(resource)];
  if (resource.status.devices.length > 0) parts.push(servingTable(session, resource));
  return parts.join('\n\n');
}

export function registerGet(command: Command, io: Io): void {
  command
    .argument('<kind>', 'kind, like Pipeline or pipelines')
    .argument('[name]', 'one resource')
    .option('-l, --selector <labels>', 'only those with these labels, like site=plant-3,role!=spare or @group')
    .action(async (kindText: string, name: string | undefined, options: { selector?: string }, called: Command) => {
      const session = await openSession(called, io);
      const kind = parseKind(kindText);
      if (name !== undefined) {
        const resource = await getOne(session, kind, name);
        await session.result(resource, () => oneTable(session, resource));
        return;
      }
      const items = await listAll(session, kind, options.selector);
      await session.result({ items }, () => (items.length === 0 ? '' : resourceTable(session, items)));
      if (items.length === 0) session.note(`There is no ${kind}${options.selector === undefined ? '' : ' with these labels'}.`);
    });
  finishLeaf(command, {
    examples: [
      'selvedge get InferenceModel digits',
      'selvedge get devices --selector site=plant-3',
      'selvedge get pipeline digits -o yaml',
    ],
  });
}
