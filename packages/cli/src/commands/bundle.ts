import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, type ImportedResults } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import type { Command } from 'commander';
import { downloadBundle, isBundleFile, verifyBundle } from '../data/bundle-file.ts';
import { devicesQuery } from '../fleet/device-query.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer, seconds } from '../options.ts';
import { bundleTable, describeBundle, describeStatement } from '../output/bundle-text.ts';
import { formatBytes } from '../output/format.ts';
import { getOne, listAll, newestFirst } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

interface ExportOptions {
  for?: string[];
  again?: string;
  out: string;
  expires?: number;
}

async function exportBundle(session: Session, { for: query, again, out, expires }: ExportOptions): Promise<void> {
  if ((query === undefined) === (again === undefined))
    throw new AppError('USAGE', { message: 'Give --for with devices, or --again with a bundle.' });
  const bundle =
    again === undefined
      ? await session.client.createBundle({
          body: { ...devicesQuery(query ?? []), ...(expires === undefined ? {} : { expiresInS: expires }) },
          signal: session.io.signal,
        })
      : await getOne(session, 'Bundle', again);
  const path = await downloadBundle(session, bundle, out);
  const { metadata, spec } = bundle;
  const count = spec.devices.length;
  await session.result({ path, bundle }, () =>
    [
      `${path}: bundle ${metadata.name} for ${count} ${count === 1 ? 'device' : 'devices'}, ${spec.files} files, ${formatBytes(spec.sizeBytes)}`,
      `good until ${spec.expiresAt}`,
    ].join('\n'),
  );
  session.note(`On the device: selvedge agent apply-bundle FILE`);
}

function registerExport(command: Command, io: Io): void {
  const made = command
    .command('export')
    .description('write what devices are to run, and all that they need for it, to one signed file')
    .option('--for <query...>', 'names of devices, or labels like site=plant-3, or @group')
    .option('--again <bundle>', 'write a bundle that was made before once more')
    .requiredOption('-o, --out <file>', 'file to write')
    .option('--expires <span>', 'how long devices take it (default: 30d)', seconds(60, 366 * 86_400, '1m to 366d'))
    .action(async (options: ExportOptions, called: Command) => exportBundle(await openSession(called, io), options));
  finishLeaf(made, {
    output: 'file',
    examples: [
      'selvedge bundle export --for edge-1 -o /media/stick/edge-1.tar',
      'selvedge bundle export --for site=plant-3 -o plant-3.tar --expires 7d',
      'selvedge bundle export --for @line-3 -o line-3.tar',
    ],
    notes: 'Each file is in it once, however many devices need it. It is verified while it is written.',
  });
}

function importedText({ device, bundle, state, samples, serving }: ImportedResults): string {
  const said = {
    taken: 'taken',
    known: 'known already',
    older: 'not taken: something newer is known',
    none: 'none: its agent has not run yet',
  };
  return [
    `${device}: state ${said[state]}, ${samples} samples, ${bundle === null ? 'no bundle applied' : `after bundle ${bundle}`}`,
    ...serving.map(({ workload, model, version }) => `  ${workload}: ${model} ${version ?? '-'}`),
  ].join('\n');
}

async function openFile(session: Session, file: string): Promise<AsyncIterable<Uint8Array>> {
  const path = resolve(session.io.cwd, file);
  try {
    if ((await stat(path)).isFile()) return createReadStream(path);
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${file} cannot be read (${systemErrorCode(cause) ?? 'unknown error'}).` }, { cause });
  }
  throw new AppError('FILE_UNREADABLE', { message: `${file} is not a file.` });
}

function registerImport(command: Command, io: Io): void {
  const imported = command
    .command('import-results <files...>')
    .description('take what devices have said on a stick; bringing a file again changes nothing')
    .action(async (files: string[], _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const items: ImportedResults[] = [];
      for (const file of files)
        items.push(await session.client.importResults({ upload: await openFile(session, file), signal: io.signal }));
      await session.result({ items }, () => items.map(importedText).join('\n'));
    });
  finishLeaf(imported, { examples: ['selvedge bundle import-results /media/stick/edge-1.results'] });
}

export function registerBundle(command: Command, io: Io): void {
  registerExport(command, io);
  const list = command
    .command('list')
    .description('show the bundles that were made, the newest first')
    .option('--device <name>', 'only those for this device')
    .option('--limit <count>', 'at most so many', integer(1, 10_000), 50)
    .action(async ({ device, limit }: { device?: string; limit: number }, called: Command) => {
      const session = await openSession(called, io);
      const all = await listAll(session, 'Bundle');
      const concerned = device === undefined ? all : all.filter(({ spec }) => spec.devices.some((one) => one.device === device));
      const items = newestFirst(concerned).slice(0, limit);
      await session.result({ items }, () => (items.length === 0 ? '' : bundleTable(session, items)));
      if (items.length === 0) session.note('No bundles. "selvedge bundle export --for QUERY -o FILE" makes one.');
    });
  finishLeaf(list, { examples: ['selvedge bundle list', 'selvedge bundle list --device edge-1 -o json'] });
  const show = command
    .command('show <file-or-name>')
    .description("verify a bundle's file and list what is in it, or show what the server knows of a bundle")
    .option('--ca <file>', 'certificate of the authority (PEM); a file is then verified without a server')
    .action(async (what: string, { ca }: { ca?: string }, called: Command) => {
      const session = await openSession(called, io);
      if (await isBundleFile(session, what)) {
        const { statement, sizeBytes } = await verifyBundle(session, what, ca);
        return session.result({ verified: true, sizeBytes, statement }, () => describeStatement(what, statement, sizeBytes));
      }
      const bundle = await getOne(session, 'Bundle', what);
      return session.result(bundle, () => describeBundle(session, bundle));
    });
  finishLeaf(show, { examples: ['selvedge bundle show line-3.tar --ca ca.pem', 'selvedge bundle show bundle-20260102-101500-a1b2c3'] });
  const revoke = command
    .command('revoke <name>')
    .description('void a bundle: no more downloads, later bundles say so to devices, and its results are refused')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const bundle = await session.client.revokeBundle({ params: { name }, signal: io.signal });
      await session.result(bundle, () => describeBundle(session, bundle));
    });
  finishLeaf(revoke, { examples: ['selvedge bundle revoke bundle-20260102-101500-a1b2c3'] });
  registerImport(command, io);
}
