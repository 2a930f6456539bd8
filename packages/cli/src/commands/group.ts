import { API_VERSION, type DeviceGroup } from '@selvedge/contract';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { renderTable } from '../output/table.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

async function groupRows(session: Session, groups: readonly DeviceGroup[]): Promise<string[][]> {
  const rows: string[][] = [];
  for (const { metadata, spec } of groups) {
    const members = await listAll(session, 'Device', `@${metadata.name}`);
    rows.push([metadata.name, spec.selector, String(members.length), spec.description ?? '-']);
  }
  return rows;
}

export function registerGroup(command: Command, io: Io): void {
  const create = command
    .command('create <name>')
    .description('save a label query as a group of devices, or change it')
    .requiredOption('-l, --selector <labels>', 'which devices, like site=a,role!=spare,line in (1,2)')
    .option('--description <text>', 'what it is for')
    .action(async (name: string, options: { selector: string; description?: string }, called: Command) => {
      const session = await openSession(called, io);
      const { selector, description } = options;
      const spec = { selector, ...(description === undefined ? {} : { description }) };
      const document = { apiVersion: API_VERSION, kind: 'DeviceGroup' as const, metadata: { name }, spec };
      const { results } = await session.client.apply({ body: { documents: [document] }, signal: io.signal });
      await session.result(await getOne(session, 'DeviceGroup', name), () => `DeviceGroup/${name} ${results[0]?.action ?? 'unchanged'}`);
    });
  finishLeaf(create, {
    examples: ['selvedge group create cameras -l role=camera,!broken', 'selvedge device list -l @cameras,site=plant-3'],
    notes: 'Wherever a label selector is taken, @NAME stands for the group.',
  });
  const list = command
    .command('list')
    .description('show the groups and how many devices each has')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const items = await listAll(session, 'DeviceGroup');
      const rows = await groupRows(session, items);
      await session.result({ items }, () => (items.length === 0 ? '' : renderTable(['GROUP', 'SELECTOR', 'DEVICES', 'DESCRIPTION'], rows)));
      if (items.length === 0) session.note('No groups. "selvedge group create NAME -l site=a" makes one.');
    });
  finishLeaf(list, { examples: ['selvedge group list'] });
  const remove = command
    .command('delete <name>')
    .description('delete a group; its devices stay')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      await session.client.deleteResource({ params: { plural: 'devicegroups', name }, signal: io.signal });
      await session.result({ kind: 'DeviceGroup', name, action: 'deleted' }, () => `DeviceGroup/${name} deleted`);
    });
  finishLeaf(remove, { examples: ['selvedge group delete cameras'] });
}
