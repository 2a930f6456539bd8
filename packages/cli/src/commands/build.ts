import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import {
  API_VERSION,
  AppError,
  type BuildOptions,
  buildOptionsSchema,
  ENGINES,
  issuesOf,
  nameSchema,
  type Package,
  PRECISIONS,
  packageName,
} from '@selvedge/contract';
import { explainUnreadable } from '@selvedge/runtime';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { resolveReference } from '../data/model-reference.ts';
import { buildFailure, watchPackage } from '../follow/watch-package.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { collect } from '../options.ts';
import { listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { describePackage, packageTable } from './package.ts';

interface CreateOptions {
  target: string[];
  engine?: string;
  precision?: string;
  tolerance?: number;
  calibration?: { method: string; samples?: number };
  source?: string[];
  lib?: string[];
  name?: string;
  follow: boolean;
}

const NOTES = `The package is one native executable with the model and its processing; "selvedge package export NAME --unpack DIR" gets
it out. Toolchains are installed on the server's machine with "selvedge target install TARGET". A build that failed is tried again.`;

function parseCalibration(text: string): { method: string; samples?: number } {
  const [method = '', samples, ...rest] = text.split(':');
  if (!['minmax', 'percentile', 'entropy'].includes(method) || rest.length > 0 || (samples !== undefined && !/^\d{1,5}$/.test(samples)))
    throw new InvalidArgumentError('Give minmax, percentile or entropy, and how many samples if you like: percentile:200.');
  return { method, ...(samples === undefined ? {} : { samples: Number(samples) }) };
}

function parseTolerance(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new InvalidArgumentError('Give a number from 0 to 1, like 0.005.');
  return value;
}

async function readSource(path: string, io: Io): Promise<{ path: string; text: string }> {
  try {
    return { path: basename(path), text: await readFile(resolve(io.cwd, path), 'utf8') };
  } catch (cause) {
    throw explainUnreadable(cause, path);
  }
}

async function buildOptionsOf(options: CreateOptions, io: Io): Promise<BuildOptions | undefined> {
  const { engine, precision, tolerance, calibration, source, lib } = options;
  const given = {
    ...(engine === undefined ? {} : { engine }),
    ...(precision === undefined ? {} : { precision }),
    ...(tolerance === undefined ? {} : { tolerance }),
    ...(calibration === undefined ? {} : { calibration }),
    ...(source === undefined ? {} : { sources: await Promise.all(source.map((path) => readSource(path, io))) }),
    ...(lib === undefined ? {} : { libraries: lib }),
  };
  if (Object.keys(given).length === 0) return undefined;
  const parsed = buildOptionsSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new AppError('USAGE', { message: 'The options of the build are not valid.', issues: issuesOf(parsed.error) });
}

/** Applying the same again changes nothing, so a build that failed is taken away first: that tries it again. */
async function dropFailed(session: Session, names: readonly string[]): Promise<void> {
  const failed = (await listAll(session, 'Package')).filter((one) => names.includes(one.metadata.name) && one.status.phase === 'Failed');
  for (const { metadata } of failed)
    await session.client.deleteResource({ params: { plural: 'packages', name: metadata.name }, signal: session.io.signal });
}

function chooseName(options: CreateOptions, model: string, version: string, target: string): string {
  if (options.name === undefined) return packageName(model, version, target, options.precision);
  const parsed = nameSchema.safeParse(options.name);
  if (!parsed.success)
    throw new AppError('USAGE', { message: `--name "${options.name}" ${parsed.error.issues[0]?.message ?? 'is invalid'}.` });
  return parsed.data;
}

async function create(session: Session, reference: string, options: CreateOptions): Promise<string[]> {
  const { client, io } = session;
  const targets = [...new Set(options.target)];
  if (options.name !== undefined && targets.length > 1) throw new AppError('USAGE', { message: '--name is for one target.' });
  const { model, version } = (await resolveReference(session, reference)).spec;
  const build = await buildOptionsOf(options, io);
  const documents = targets.map((target) => ({
    apiVersion: API_VERSION,
    kind: 'Package' as const,
    metadata: { name: chooseName(options, model, version, target) },
    spec: { model, version, target, ...(build === undefined ? {} : { build }) },
  }));
  const names = documents.map((document) => document.metadata.name);
  await dropFailed(session, names);
  const { results } = await client.apply({ body: { documents }, signal: io.signal });
  for (const result of results) session.note(`Package/${result.name} ${result.action}`);
  return names;
}

/** A thing that stands by itself ends in its description, several in a table. */
function describeAll(session: Session, built: readonly Package[]): string {
  const [only] = built;
  if (only !== undefined && built.length === 1) return describePackage(session, only);
  const notes = built.flatMap(({ metadata, status }) => status.notes.map((note) => `${metadata.name}: ${note}`));
  return [packageTable(session, built), notes.join('\n')].filter((part) => part !== '').join('\n\n');
}

export function registerBuild(command: Command, io: Io): void {
  const make = command
    .command('create <model>')
    .description('build native packages of a model version: MODEL:VERSION, or MODEL for its latest')
    .requiredOption('-t, --target <target>', 'platform to build for; may be repeated', collect)
    .addOption(new Option('--engine <engine>', 'inference engine (default: auto)').choices(['auto', ...ENGINES]))
    .addOption(new Option('--precision <precision>', 'of weights and activations (default: fp32)').choices(['auto', ...PRECISIONS]))
    .option('--tolerance <share>', 'accuracy that "auto" may lose (default: 0.005)', parseTolerance)
    .option('--calibration <method[:samples]>', 'how int8 ranges are found (default: percentile:200)', parseCalibration)
    .option('--source <file...>', 'C++ files compiled in as extra processing steps')
    .addOption(new Option('--lib <library...>', 'libraries for them').choices(['opencv']))
    .option('--name <name>', 'name of the package, for one target')
    .option('--no-follow', 'do not wait for the builds')
    .action(async (reference: string, options: CreateOptions, called: Command) => {
      const session = await openSession(called, io);
      const names = await create(session, reference, options);
      const packages: Package[] = [];
      if (options.follow) for (const name of names) packages.push(await watchPackage(session, name));
      else packages.push(...(await listAll(session, 'Package')).filter((one) => names.includes(one.metadata.name)));
      await session.result({ items: packages }, () => describeAll(session, packages));
      const failure = packages.map(buildFailure).find((error) => error !== undefined);
      if (failure !== undefined) throw failure;
      const [first] = names;
      session.note(options.follow ? `Next: selvedge bench ${first} --on DEVICE` : `Watch it: selvedge package log ${first} --follow`);
    });
  finishLeaf(make, {
    examples: [
      'selvedge build create digits:1 --target linux-armv7',
      'selvedge build create digits --target linux-arm64 --target linux-amd64 --precision auto',
      'selvedge build create digits:stable --target linux-arm64 --source mask.cc --lib opencv --no-follow',
    ],
    notes: NOTES,
  });
}
