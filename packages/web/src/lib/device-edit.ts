import { type AnyDocument, API_VERSION, type Device, type DeviceLocation, deviceDocumentSchema, labelsSchema } from '@selvedge/contract';
import { type BudgetFaults, type BudgetForm, budgetForm, budgetOptions, mergeBudgets, readBudgets } from './device-budgets.ts';
import { shellWord } from './shell-word.ts';

export interface LabelRow {
  readonly key: string;
  readonly value: string;
}

/** What people decide about a device, as the dialog asks for it: texts, which may be anything. */
export interface DeviceForm {
  readonly description: string;
  readonly notes: string;
  readonly place: string;
  /** Degrees; empty for a device that says itself where it is. */
  readonly latitude: string;
  readonly longitude: string;
  readonly labels: readonly LabelRow[];
  readonly budgets: BudgetForm;
}

/** The same, checked. */
export interface DeviceFacts {
  readonly spec: Device['spec'];
  readonly labels: Record<string, string>;
}

type DeviceField = 'description' | 'notes' | 'place' | 'latitude' | 'longitude';
type ReadForm =
  | { ok: true; facts: DeviceFacts }
  | { ok: false; faults: Partial<Record<DeviceField, string>>; labelFaults: readonly (string | undefined)[]; budgetFaults: BudgetFaults };

type DeviceDocument = Extract<AnyDocument, { kind: 'Device' }>;

export function factsOf({ spec, metadata }: Device): DeviceFacts {
  return { spec, labels: metadata.labels };
}

export function deviceForm({ spec, labels }: DeviceFacts): DeviceForm {
  const { description = '', notes = '', location } = spec;
  return {
    description,
    notes,
    place: location?.place ?? '',
    latitude: location === undefined ? '' : String(location.latitude),
    longitude: location === undefined ? '' : String(location.longitude),
    labels: Object.entries(labels).map(([key, value]) => ({ key, value })),
    budgets: budgetForm(spec.budgets),
  };
}

const FAULTS: Record<DeviceField, string> = {
  description: 'At most 16,384 characters',
  notes: 'At most 16,384 characters',
  place: 'At most 256 characters',
  latitude: 'Degrees north from -90 to 90, like 52.52',
  longitude: 'Degrees east from -180 to 180, like 13.405',
};

/** What a form says, held to the contract's schema; or what is wrong with which field. `before` keeps what is not asked for. */
export function readDeviceForm(form: DeviceForm, before: DeviceFacts): ReadForm {
  const faults: Partial<Record<DeviceField, string>> = {};
  const { description: _description, notes: _notes, location: known, budgets: _budgets, ...rest } = before.spec;
  const { budgets, faults: budgetFaults } = readBudgets(form.budgets);
  const [latitude, longitude, place] = [form.latitude, form.longitude, form.place].map((text) => text.trim());
  const hasPosition = latitude !== '' || longitude !== '';
  if (!hasPosition && place !== '') faults.place = 'Goes with a position: give latitude and longitude as well';
  if (hasPosition && latitude === '') faults.latitude = FAULTS.latitude;
  if (hasPosition && longitude === '') faults.longitude = FAULTS.longitude;
  const spec = {
    ...rest,
    ...(form.description === '' ? {} : { description: form.description }),
    ...(form.notes === '' ? {} : { notes: form.notes }),
    ...(hasPosition
      ? {
          location: {
            latitude: Number(latitude),
            longitude: Number(longitude),
            ...(known?.altitude === undefined ? {} : { altitude: known.altitude }),
            ...(place === '' ? {} : { place }),
          },
        }
      : {}),
    ...(budgets === undefined ? {} : { budgets }),
  };
  const parsed = deviceDocumentSchema.shape.spec.safeParse(spec);
  for (const { path } of parsed.error?.issues ?? []) {
    const field = path.at(-1);
    if (isField(field)) faults[field] ??= FAULTS[field];
  }
  const labelFaults = form.labels.map((row, index) => labelFault(row, form.labels.slice(0, index)));
  const areWrong = [faults, budgetFaults].some((found) => Object.keys(found).length > 0);
  if (!parsed.success || areWrong || labelFaults.some((fault) => fault !== undefined))
    return { ok: false, faults, labelFaults, budgetFaults };
  const labels = Object.fromEntries(form.labels.filter((row) => !isBlank(row)).map(({ key, value }) => [key.trim(), value.trim()]));
  return { ok: true, facts: { spec: parsed.data, labels } };
}

function isField(name: unknown): name is DeviceField {
  return typeof name === 'string' && Object.hasOwn(FAULTS, name);
}

/** A row that was added and not filled in says nothing. */
function isBlank({ key, value }: LabelRow): boolean {
  return key.trim() === '' && value.trim() === '';
}

function labelFault(row: LabelRow, before: readonly LabelRow[]): string | undefined {
  if (isBlank(row)) return undefined;
  const [key, value] = [row.key.trim(), row.value.trim()];
  if (!labelsSchema.safeParse({ [key]: '' }).success)
    return 'Not a label key: letters, digits, "-", "_" and ".", perhaps after a domain and "/"';
  if (!labelsSchema.safeParse({ [key]: value }).success) return 'Not a label value: up to 63 letters, digits, "-", "_" and "."';
  return before.some((other) => other.key.trim() === key) ? 'This key is there already' : undefined;
}

export interface MergedFacts {
  readonly facts: DeviceFacts;
  /** What both have changed, each in another way, in words; `facts` has mine. */
  readonly clashes: readonly string[];
}

/** My changes since `base`, on top of what is there now: what I have not touched stays as others have made it. */
export function mergeFacts(base: DeviceFacts, mine: DeviceFacts, now: DeviceFacts): MergedFacts {
  const clashes: string[] = [];
  const pick = <T extends string | DeviceLocation | undefined>(what: string, was: T, wanted: T, is: T): T => {
    if (isSame(was, wanted)) return is;
    if (!isSame(was, is) && !isSame(wanted, is)) clashes.push(what);
    return wanted;
  };
  const description = pick('description', base.spec.description, mine.spec.description, now.spec.description);
  const notes = pick('notes', base.spec.notes, mine.spec.notes, now.spec.notes);
  const location = pick('place', base.spec.location, mine.spec.location, now.spec.location);
  const { budgets, clashes: budgetClashes } = mergeBudgets(base.spec.budgets, mine.spec.budgets, now.spec.budgets);
  clashes.push(...budgetClashes);
  const { description: _description, notes: _notes, location: _location, budgets: _budgets, ...rest } = now.spec;
  const keys = new Set([...Object.keys(now.labels), ...Object.keys(mine.labels), ...Object.keys(base.labels)]);
  const labels: Record<string, string> = {};
  for (const key of keys) {
    const value = pick(`label ${key}`, base.labels[key], mine.labels[key], now.labels[key]);
    if (value !== undefined) labels[key] = value;
  }
  const spec = {
    ...rest,
    ...(description === undefined ? {} : { description }),
    ...(notes === undefined ? {} : { notes }),
    ...(location === undefined ? {} : { location }),
    ...(budgets === undefined ? {} : { budgets }),
  };
  return { facts: { spec, labels }, clashes };
}

function isSame(a: string | DeviceLocation | undefined, b: string | DeviceLocation | undefined): boolean {
  return comparable(a) === comparable(b);
}

function comparable(value: string | DeviceLocation | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  return JSON.stringify([value.latitude, value.longitude, value.altitude, value.place]);
}

/** The document that says so. Annotations are left out: those stay as they are. */
export function deviceDocument(name: string, { spec, labels }: DeviceFacts): DeviceDocument {
  return { apiVersion: API_VERSION, kind: 'Device', metadata: { name, labels }, spec };
}

/** Commands that make the same changes; none when nothing is changed. */
export function changeCommands(name: string, before: DeviceFacts, after: DeviceFacts): string[] {
  const { description, notes, location } = after.spec;
  const known = before.spec.location;
  const isMoved = !isSame(known && { ...known, place: undefined }, location && { ...location, place: undefined });
  const options = [
    ...(description === before.spec.description ? [] : [`--description ${shellWord(description ?? '')}`]),
    ...(isMoved ? [`--location ${location === undefined ? 'none' : positionText(location)}`] : []),
    ...(location === undefined || location.place === known?.place ? [] : [`--place ${shellWord(location.place ?? '')}`]),
    ...(notes === before.spec.notes ? [] : [`--notes ${shellWord(notes ?? '')}`]),
    ...budgetOptions(before.spec.budgets, after.spec.budgets),
  ];
  const labels = [
    ...Object.entries(after.labels).flatMap(([key, value]) => (before.labels[key] === value ? [] : [`${key}=${value}`])),
    ...Object.keys(before.labels).flatMap((key) => (after.labels[key] === undefined ? [`${key}-`] : [])),
  ];
  return [
    ...(options.length === 0 ? [] : [`selvedge device set ${name} ${options.join(' ')}`]),
    ...(labels.length === 0 ? [] : [`selvedge device label ${name} ${labels.join(' ')}`]),
  ];
}

function positionText({ latitude, longitude, altitude }: DeviceLocation): string {
  return [latitude, longitude, ...(altitude === undefined ? [] : [altitude])].join(',');
}
