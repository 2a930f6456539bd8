import { API_VERSION, AppError, type Device, type DeviceLocation } from '@selvedge/contract';
import { type Command, InvalidArgumentError } from 'commander';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { formatLabels } from '../output/format.ts';
import { getOne } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

type Position = Pick<DeviceLocation, 'latitude' | 'longitude' | 'altitude'>;

interface SetOptions {
  location?: Position | 'none';
  place?: string;
  notes?: string;
}

function parsePosition(text: string): Position | 'none' {
  if (text === 'none') return 'none';
  const [latitude = Number.NaN, longitude = Number.NaN, altitude, ...rest] = text.split(',').map(Number);
  const valid = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && !Number.isNaN(altitude) && rest.length === 0;
  if (!valid) throw new InvalidArgumentError('Give degrees like 52.52,13.405 (north, east), with metres as a third number, or "none".');
  return { latitude, longitude, ...(altitude === undefined ? {} : { altitude }) };
}

/** Writes labels or spec of a device; what is not given stays. */
async function change(session: Session, device: Device, with_: { labels?: Device['metadata']['labels']; spec?: Device['spec'] }) {
  const { name, labels, annotations } = device.metadata;
  const metadata = { name, labels: with_.labels ?? labels, annotations };
  const document = { apiVersion: API_VERSION, kind: 'Device' as const, metadata, spec: with_.spec ?? device.spec };
  await session.client.apply({ body: { documents: [document] }, signal: session.io.signal });
  return await getOne(session, 'Device', name);
}

function specWith(device: Device, { location, place, notes }: SetOptions): Device['spec'] {
  const { location: known, notes: knownNotes, ...rest } = device.spec;
  const position = location === 'none' ? undefined : (location ?? known);
  if (place !== undefined && position === undefined)
    throw new AppError('USAGE', { message: '--place goes with a location.', hint: 'Give --location LAT,LON as well.' });
  const words = place ?? known?.place;
  const text = notes ?? knownNotes;
  return {
    ...rest,
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
    .command('set <name>')
    .description('say where a device is, and take notes about it')
    .option(
      '--location <lat,lon>',
      'degrees north and east, perhaps metres above the sea; "none": what the device says itself',
      parsePosition,
    )
    .option('--place <text>', 'where it is in words; empty text takes it away')
    .option('--notes <text>', 'free text; empty text takes it away')
    .action(async (name: string, options: SetOptions, called: Command) => {
      if (Object.keys(options).every((key) => !['location', 'place', 'notes'].includes(key)))
        throw new AppError('USAGE', { message: 'Nothing is to be set.', hint: 'Give --location, --place or --notes.' });
      const session = await openSession(called, io);
      const device = await getOne(session, 'Device', name);
      await session.result(await change(session, device, { spec: specWith(device, options) }), () => `Device/${name} configured`);
    });
  finishLeaf(set, {
    examples: [
      'selvedge device set edge-1 --location 52.52,13.405 --place "hall 3, gate B"',
      'selvedge device set edge-1 --notes "camera replaced in May"',
      'selvedge device set edge-1 --location none',
    ],
  });
}
