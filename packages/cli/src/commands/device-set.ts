import { API_VERSION, AppError, type Device, type DeviceLocation } from '@selvedge/contract';
import { type Command, InvalidArgumentError } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { formatLabels } from '../output/format.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { addBudgetOptions, type BudgetOptions, withBudgets } from './device-budgets.ts';

type Position = Pick<DeviceLocation, 'latitude' | 'longitude' | 'altitude'>;

interface SetOptions extends BudgetOptions {
  location?: Position | 'none';
  place?: string;
  notes?: string;
  description?: string;
}

function parsePosition(text: string): Position | 'none' {
  if (text === 'none') return 'none';
  const [latitude = Number.NaN, longitude = Number.NaN, altitude, ...rest] = text.split(',').map(Number);
  const valid = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && !Number.isNaN(altitude) && rest.length === 0;
  if (!valid) throw new InvalidArgumentError('Give degrees like 52.52,13.405 (north, east), with metres as a third number, or "none".');
  return { latitude, longitude, ...(altitude === undefined ? {} : { altitude }) };
}

interface Change {
  labels?: Device['metadata']['labels'];
  spec?: Device['spec'];
}

function changed({ metadata, spec }: Device, change: Change) {
  const { name, labels, annotations } = metadata;
  return {
    apiVersion: API_VERSION,
    kind: 'Device' as const,
    metadata: { name, labels: change.labels ?? labels, annotations },
    spec: change.spec ?? spec,
  };
}

/** Writes labels or spec of a device; what is not given stays. */
async function change(session: Session, device: Device, with_: Change) {
  await session.client.apply({ body: { documents: [changed(device, with_)] }, signal: session.io.signal });
  return await getOne(session, 'Device', device.metadata.name);
}

/** As many as one request takes. */
const DOCUMENTS_PER_REQUEST = 1000;

async function setAll(session: Session, query: string, options: SetOptions): Promise<Device[]> {
  const isSelector = /[=@,!]/.test(query);
  const devices = isSelector ? await listAll(session, 'Device', query) : [await getOne(session, 'Device', query)];
  if (devices.length === 0) throw new AppError('NOT_FOUND', { message: `No device is ${query}.` });
  const documents = devices.map((device) => changed(device, { spec: withBudgets(specWith(device, options), options) }));
  for (let start = 0; start < documents.length; start += DOCUMENTS_PER_REQUEST)
    await session.client.apply({
      body: { documents: documents.slice(start, start + DOCUMENTS_PER_REQUEST) },
      signal: session.io.signal,
    });
  return isSelector ? await listAll(session, 'Device', query) : [await getOne(session, 'Device', query)];
}

function specWith(device: Device, { location, place, notes, description }: SetOptions): Device['spec'] {
  const { location: known, notes: knownNotes, description: knownDescription, ...rest } = device.spec;
  const position = location === 'none' ? undefined : (location ?? known);
  if (place !== undefined && position === undefined)
    throw new AppError('USAGE', { message: '--place goes with a location.', hint: 'Give --location LAT,LON as well.' });
  const words = place ?? known?.place;
  const text = notes ?? knownNotes;
  const about = description ?? knownDescription;
  return {
    ...rest,
    ...(about === undefined || about === '' ? {} : { description: about }),
    ...(position === undefined ? {} : { location: { ...position, ...(words === undefined || words === '' ? {} : { place: words }) } }),
    ...(text === undefined || text === '' ? {} : { notes: text }),
  };
}

/** Registers what people decide about a device: labels, where it is, notes. */
export function registerDeviceChanges(command: Command, io: Io): void {
  const label = command
    .command('label <name> <changes...>')
    .description('set labels (key=value) and take labels away (key-)')
    .action(async (name: string, changes: string[], _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const device = await getOne(session, 'Device', name);
      const labels = { ...device.metadata.labels };
      for (const one of changes) {
        const at = one.indexOf('=');
        if (at > 0) labels[one.slice(0, at)] = one.slice(at + 1);
        else if (at < 0 && one.endsWith('-') && one.length > 1) delete labels[one.slice(0, -1)];
        else throw new AppError('USAGE', { message: `"${one}" is neither key=value nor key-.` });
      }
      await session.result(await change(session, device, { labels }), () => `${name}: ${formatLabels(labels)}`);
    });
  finishLeaf(label, { examples: ['selvedge device label edge-1 site=plant-3 line=4 spare-'] });
  const set = command
    .command('set <query>')
    .description('say what and where a device is, take notes about it, and set what it may use')
    .option('--description <text>', 'what it is; empty text takes it away')
    .option(
      '--location <lat,lon>',
      'degrees north and east, perhaps metres above the sea; "none": what the device says itself',
      parsePosition,
    )
    .option('--place <text>', 'where it is in words; empty text takes it away')
    .option('--notes <text>', 'free text; empty text takes it away');
  addBudgetOptions(set);
  const own = new Set(set.options.map((option) => option.attributeName()));
  set.action(async (query: string, options: SetOptions, called: Command) => {
    if (!Object.keys(options).some((key) => own.has(key)))
      throw new AppError('USAGE', { message: 'Nothing is to be set.', hint: 'Give --description, --location, --notes or a budget.' });
    const session = await openSession(called, io);
    const devices = await setAll(session, query, options);
    const [first, ...others] = devices;
    const text = devices.map(({ metadata }) => `Device/${metadata.name} configured`).join('\n');
    await session.result(others.length === 0 ? first : { items: devices }, () => text);
  });
  finishLeaf(set, {
    examples: [
      'selvedge device set edge-1 --location 52.52,13.405 --place "hall 3, gate B"',
      'selvedge device set edge-1 --description "camera over the belt" --notes "camera replaced in May"',
      'selvedge device set edge-1 --location none',
      'selvedge device set site=plant-3 --traffic-mib-per-day 50 --telemetry-interval-s 300',
      'selvedge device set edge-1 --traffic-mib-per-day none',
    ],
  });
}
