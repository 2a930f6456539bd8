import { API_VERSION, AppError, type Device, type DeviceGroup, locationOf, matchesSelector, parseLabelSelector } from '@selvedge/contract';
import { type Command, Option } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

type HostVars = Record<string, unknown>;
interface InventoryGroup {
  hosts: string[];
}
/** What an inventory script of Ansible prints for `--list`. @see Ansible, "Developing dynamic inventory" */
type AnsibleInventory = Record<string, InventoryGroup | { hostvars: Record<string, HostVars> }>;

function hostVars(device: Device): HostVars {
  const { metadata, spec, status } = device;
  const location = locationOf(device);
  return {
    ...(status.address === undefined ? {} : { ansible_host: status.address }),
    selvedge_device: metadata.name,
    selvedge_labels: metadata.labels,
    selvedge_online: status.online,
    ...(status.info === null ? {} : { selvedge_hostname: status.info.hostname, selvedge_arch: status.info.arch }),
    ...(location === undefined ? {} : { selvedge_location: location }),
    ...(spec.notes === undefined ? {} : { selvedge_notes: spec.notes }),
  };
}

/** Ansible takes letters, digits and "_" in names of groups. */
function groupName(text: string): string {
  return text.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');
}

function ansibleInventory(devices: readonly Device[], groups: readonly DeviceGroup[]): AnsibleInventory {
  const members = new Map<string, string[]>();
  const add = (group: string, host: string) => {
    const hosts = members.get(group) ?? [];
    if (!hosts.includes(host)) members.set(group, [...hosts, host]);
  };
  const queries = groups.map(({ metadata, spec }) => ({ name: metadata.name, requirements: parseLabelSelector(spec.selector) }));
  for (const { metadata } of devices) {
    add('all', metadata.name);
    for (const [key, value] of Object.entries(metadata.labels)) add(groupName(value === '' ? key : `${key}_${value}`), metadata.name);
    for (const { name, requirements } of queries)
      if (matchesSelector(requirements, metadata.labels)) add(groupName(`group_${name}`), metadata.name);
  }
  const hostvars = Object.fromEntries(devices.map((device) => [device.metadata.name, hostVars(device)]));
  return { _meta: { hostvars }, ...Object.fromEntries([...members].sort().map(([group, hosts]) => [group, { hosts }])) };
}

async function fleet(session: Session, selector?: string) {
  return { devices: await listAll(session, 'Device', selector), groups: await listAll(session, 'DeviceGroup') };
}

interface InventoryOptions {
  format: 'ansible' | 'json';
  selector?: string;
  list?: boolean;
  host?: string;
}

/** Registers what writes the fleet down for other programs. */
export function registerInventory(command: Command, io: Io): void {
  const inventory = command
    .command('inventory')
    .description('print the devices for Ansible (as a dynamic inventory) or other programs')
    .addOption(
      new Option('--format <format>', 'ansible: groups by label and by device group').choices(['ansible', 'json']).default('ansible'),
    )
    .option('-l, --selector <labels>', 'only those with these labels, like site=plant-3,role!=spare')
    .option('--list', 'all hosts, as Ansible asks for them (default)')
    .option('--host <name>', 'variables of one host')
    .action(async (options: InventoryOptions, called: Command) => {
      const session = await openSession(called, io);
      const { devices, groups } = await fleet(session, options.selector);
      if (options.host !== undefined) {
        const found = devices.find(({ metadata }) => metadata.name === options.host);
        if (found === undefined) throw new AppError('NOT_FOUND', { message: `There is no device "${options.host}".` });
        session.print(JSON.stringify(hostVars(found), null, 2));
      } else if (options.format === 'ansible') session.print(JSON.stringify(ansibleInventory(devices, groups), null, 2));
      else session.print(JSON.stringify({ devices: devices.map(hostVars) }, null, 2));
    });
  finishLeaf(inventory, {
    examples: ['selvedge device inventory', 'selvedge device inventory --format json -l site=plant-3'],
    notes:
      'As an inventory script: a file with "#!/bin/sh" and "exec selvedge device inventory "$@"", made executable, ' +
      'then "ansible-inventory -i FILE --graph".',
  });
  const save = command
    .command('export')
    .description('print devices and device groups as documents that "selvedge apply" takes')
    .option('-l, --selector <labels>', 'only devices with these labels')
    .action(async (options: { selector?: string }, called: Command) => {
      const session = await openSession(called, io);
      const { devices, groups } = await fleet(session, options.selector);
      const documents = [...groups, ...devices].map(({ kind, metadata: { name, labels, annotations }, spec }) => ({
        apiVersion: API_VERSION,
        kind,
        metadata: { name, labels, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) },
        spec,
      }));
      const { toYaml } = await import('../output/to-yaml.ts');
      await session.result({ documents }, () => documents.map((document) => toYaml(document)).join('\n---\n'));
    });
  finishLeaf(save, { examples: ['selvedge device export > fleet.yaml'] });
}
