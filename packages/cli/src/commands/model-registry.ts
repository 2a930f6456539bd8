import { resolve } from 'node:path';
import { AppError, aliasSchema, type Client, type ModelVersion, NOTE_ANNOTATION } from '@selvedge/contract';
import type { Command } from 'commander';
import { chunksOf } from '../connect.ts';
import { exportModel } from '../data/export-model.ts';
import { findVersion, resolveReference } from '../data/model-reference.ts';
import { saveStream } from '../data/save-stream.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { copyTo } from '../output/copy-stream.ts';
import { formatBytes, formatNumber, orDash } from '../output/format.ts';
import { lineageTree } from '../output/lineage-text.ts';
import { renderTable } from '../output/table.ts';
import { openSession } from '../session.ts';

const REFERENCE_NOTE = 'A version is named as NAME:3, by an alias as NAME:champion or NAME@champion, or as NAME for the newest.';

const paramsOf = ({ spec }: ModelVersion) => ({ name: spec.model, version: spec.version });

function registerLineage(command: Command, io: Io): void {
  const lineage = command
    .command('lineage <model:version>')
    .description('show what a version was made from, and where it serves')
    .action(async (reference: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const version = await resolveReference(session, reference);
      const found = await session.client.getModelLineage({ params: paramsOf(version), signal: io.signal });
      await session.result(found, () => lineageTree(found));
    });
  finishLeaf(lineage, {
    examples: ['selvedge model lineage digits:3', 'selvedge model lineage digits@champion -o json'],
    notes: REFERENCE_NOTE,
  });
}

function registerAlias(command: Command, io: Io): void {
  const alias = command
    .command('alias <name> <alias> [version]')
    .description('let an alias like champion name a version; what is deployed by the alias follows')
    .option('--remove', 'remove the alias')
    .action(async (name: string, given: string, version: string | undefined, options: { remove?: boolean }, called: Command) => {
      const parsed = aliasSchema.safeParse(given);
      if (!parsed.success) throw new AppError('USAGE', { message: `"${given}" ${parsed.error.issues[0]?.message ?? 'is no alias'}.` });
      if ((version === undefined) !== (options.remove === true))
        throw new AppError('USAGE', { message: 'Give either a version or --remove.', hint: 'selvedge model alias digits champion 3' });
      const session = await openSession(called, io);
      const params = { name, alias: parsed.data };
      const model =
        version === undefined
          ? await session.client.deleteModelAlias({ params, signal: io.signal })
          : await session.client.setModelAlias({ params, body: { version }, signal: io.signal });
      const now = model.status.aliases[parsed.data];
      await session.result(model, () => (now === undefined ? `${name}@${given} removed` : `${name}@${given} is version ${now}`));
    });
  finishLeaf(alias, { examples: ['selvedge model alias digits champion 3', 'selvedge model alias digits champion --remove'] });
}

function registerNote(command: Command, io: Io): void {
  const note = command
    .command('note <model:version> [text]')
    .description('show, write or remove the note of a version')
    .option('--remove', 'remove the note')
    .action(async (reference: string, text: string | undefined, options: { remove?: boolean }, called: Command) => {
      if (text !== undefined && options.remove === true) throw new AppError('USAGE', { message: 'Give either a text or --remove.' });
      const session = await openSession(called, io);
      const found = await resolveReference(session, reference);
      const wanted = options.remove === true ? '' : text;
      const body = { text: wanted ?? '' };
      const version =
        wanted === undefined ? found : await session.client.setModelNote({ params: paramsOf(found), body, signal: io.signal });
      const shown = version.metadata.annotations[NOTE_ANNOTATION] ?? null;
      await session.result({ model: version.spec.model, version: version.spec.version, note: shown }, () => orDash(shown));
    });
  finishLeaf(note, {
    examples: ['selvedge model note digits:3 "good on night scenes"', 'selvedge model note digits:3'],
    notes: REFERENCE_NOTE,
  });
}

type ModelDetail = Awaited<ReturnType<Client['getModel']>>;

function comparisonTable({ model }: ModelDetail, versions: readonly ModelVersion[]): string {
  const names = [...new Set(versions.flatMap(({ spec }) => Object.keys(spec.metrics)))];
  const aliases = Object.entries(model.status.aliases);
  const row = (title: string, cell: (version: ModelVersion) => string) => [title, ...versions.map(cell)];
  return renderTable(
    ['', ...versions.map(({ spec }) => `VERSION ${spec.version}`)],
    [
      row('aliases', ({ spec }) => orDash(aliases.flatMap(([alias, of]) => (of === spec.version ? [alias] : [])).join(','))),
      row('run', ({ spec }) => orDash(spec.lineage?.run)),
      row('dataset', ({ spec }) => (spec.lineage === null ? '-' : `${spec.lineage.dataset.name}@${spec.lineage.dataset.version}`)),
      ...names.map((name) => row(name, ({ spec }) => (spec.metrics[name] === undefined ? '-' : formatNumber(spec.metrics[name])))),
      row('size', ({ spec }) => formatBytes(spec.file.sizeBytes)),
      row('served by', ({ status }) => String(status.servedBy)),
      row('note', ({ metadata }) => orDash(metadata.annotations[NOTE_ANNOTATION])),
    ],
  );
}

function registerCompare(command: Command, io: Io): void {
  const compare = command
    .command('compare <name> [versions...]')
    .description('show versions side by side (default: the newest five)')
    .action(async (name: string, wanted: string[], _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const detail = await session.client.getModel({ params: { name }, signal: io.signal });
      const versions = wanted.length === 0 ? detail.versions.slice(0, 5) : wanted.map((one) => findVersion(detail, one));
      await session.result({ items: versions }, () => comparisonTable(detail, versions));
    });
  finishLeaf(compare, { examples: ['selvedge model compare digits', 'selvedge model compare digits 1 champion'] });
}

function registerCard(command: Command, io: Io): void {
  const card = command
    .command('card <model:version>')
    .description('print the model card of a version, in Markdown')
    .option('--out <file>', 'file to write instead')
    .action(async (reference: string, options: { out?: string }, called: Command) => {
      const session = await openSession(called, io);
      const version = await resolveReference(session, reference);
      const response = await session.client.stream('getModelCard', { params: paramsOf(version), signal: io.signal });
      const chunks = chunksOf(response, session.settings.serverUrl);
      const { out } = options;
      if (out === undefined) return await copyTo(io.stdout, chunks, io.signal);
      await saveStream(resolve(io.cwd, out), chunks);
      await session.result({ ...paramsOf(version), file: resolve(io.cwd, out) }, () => out);
    });
  finishLeaf(card, {
    examples: ['selvedge model card digits:3', 'selvedge model card digits@champion --out MODEL_CARD.md'],
    notes: REFERENCE_NOTE,
  });
}

function registerExport(command: Command, io: Io): void {
  const leaf = command
    .command('export <model:version>')
    .description('write a version with its card, reports, processing, lineage and digests into a folder')
    .requiredOption('--out <dir>', 'folder to make')
    .action(async (reference: string, options: { out: string }, called: Command) => {
      const session = await openSession(called, io);
      const version = await resolveReference(session, reference);
      const folder = resolve(io.cwd, options.out);
      const { files, missing } = await exportModel(session, version, folder);
      await session.result({ ...paramsOf(version), folder, files, missing }, () =>
        renderTable(
          ['FILE', 'SHA256'],
          files.map(({ path, sha256 }) => [path, sha256]),
        ),
      );
      for (const one of missing) session.note(`Left out: ${one}`);
    });
  finishLeaf(leaf, { examples: ['selvedge model export digits:3 --out digits-3'], notes: REFERENCE_NOTE });
}

/** What is said about versions and known of them. */
export function registerModelRegistry(command: Command, io: Io): void {
  registerLineage(command, io);
  registerAlias(command, io);
  registerNote(command, io);
  registerCompare(command, io);
  registerCard(command, io);
  registerExport(command, io);
}
