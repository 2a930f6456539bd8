import { AppError, resplitSchema } from '@selvedge/contract';
import { type Command, InvalidArgumentError } from 'commander';
import { parseDatasetReference, resolveDatasetReference } from '../data/dataset-reference.ts';
import { exportDataset } from '../data/export-dataset.ts';
import { waitImported } from '../data/wait-imported.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer } from '../options.ts';
import { describeVersion, list, renderDiff } from '../output/dataset-text.ts';
import { formatBytes } from '../output/format.ts';
import { renderFields } from '../output/table.ts';
import { openSession } from '../session.ts';

/** Parser of `train=0.8,validation=0.1,test=0.1`. */
function shares(text: string): Record<string, number> {
  const pairs = text.split(',').map((part) => part.split('='));
  const value = Object.fromEntries(
    pairs.map(([name = '', number = '']) => [name.trim(), number.trim() === '' ? Number.NaN : Number(number)]),
  );
  const parsed = resplitSchema.shape.shares.safeParse(value);
  if (parsed.success && pairs.length === Object.keys(value).length) return parsed.data;
  throw new InvalidArgumentError('Give it as train=0.8,validation=0.1,test=0.1, adding up to 1.');
}

function registerSplit(command: Command, io: Io): void {
  const split = command
    .command('split <name[@version]>')
    .description('add a version with other splits, every class in each by its share')
    .requiredOption('--shares <shares>', 'such as train=0.8,validation=0.1,test=0.1', shares)
    .option('--seed <number>', 'another seed divides otherwise (default: 0)', integer(0, 0xffff_ffff))
    .action(async (reference: string, options: { shares: Record<string, number>; seed?: number }, called: Command) => {
      const session = await openSession(called, io);
      const params = await resolveDatasetReference(session, reference);
      const body = { shares: options.shares, seed: options.seed ?? 0 };
      const version = await waitImported(session, await session.client.splitDataset({ params, body, signal: io.signal }));
      await session.result(version, () => renderFields(describeVersion(version)));
    });
  finishLeaf(split, {
    examples: ['selvedge dataset split digits --shares train=0.8,validation=0.1,test=0.1 --seed 7'],
    notes: 'Samples of one group, and copies of one file, stay together. The same version, shares and seed give the same splits.',
  });
}

function registerDiff(command: Command, io: Io): void {
  const diff = command
    .command('diff <a> <b>')
    .description('show what version b has against version a')
    .action(async (a: string, b: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      for (const reference of [a, b]) parseDatasetReference(reference);
      const found = await session.client.diffDatasets({ query: { from: a, to: b }, signal: io.signal });
      await session.result(found, () => renderDiff(found));
    });
  finishLeaf(diff, { examples: ['selvedge dataset diff digits@1 digits@2'] });
}

function registerVerify(command: Command, io: Io): void {
  const verify = command
    .command('verify <name[@version]>')
    .description('read every file of a version again and compare it with the manifest')
    .action(async (reference: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const params = await resolveDatasetReference(session, reference);
      const found = await session.client.verifyDataset({ params, signal: io.signal });
      await session.result(found, () =>
        found.ok
          ? `${params.name}@${params.version}: ${found.files} files, ${formatBytes(found.sizeBytes)}, all as in the manifest.`
          : list(
              'Broken',
              found.broken.files.map(({ path, message }) => `${path}: ${message}`),
              found.broken.count,
            ),
      );
      if (!found.ok) {
        throw new AppError('DIGEST_MISMATCH', {
          message: `${found.broken.count} of ${found.files} files of ${params.name}@${params.version} are not as they were.`,
          hint: 'Remove the version and add the data again.',
        });
      }
    });
  finishLeaf(verify, { examples: ['selvedge dataset verify digits@1'] });
}

function registerExport(command: Command, io: Io): void {
  const exported = command
    .command('export <name[@version]>')
    .description('write a version to a folder in the standard form')
    .requiredOption('--to <folder>', 'a folder that is not there yet')
    .action(async (reference: string, options: { to: string }, called: Command) => {
      const session = await openSession(called, io);
      const params = await resolveDatasetReference(session, reference);
      const written = await exportDataset(session, params, options.to);
      const result = { ...params, folder: options.to, ...written };
      await session.result(
        result,
        () => `${params.name}@${params.version}: ${written.files} files, ${formatBytes(written.sizeBytes)}, in ${options.to}`,
      );
    });
  finishLeaf(exported, {
    examples: ['selvedge dataset export digits@2 --to ./digits-2'],
    notes: 'dataset.json, manifest.jsonl and files/; "selvedge dataset add NAME --from FOLDER" takes it in again, with its splits.',
  });
}

function registerRemove(command: Command, io: Io): void {
  const removed = command
    .command('rm <name[@version]>')
    .description('remove a version, or a dataset with all versions, and free the space; refused for what a run or a model needs')
    .option('--unused', 'remove the versions that nothing needs, and keep the others')
    .option('--keep <count>', 'with --unused: how many of the newest versions stay in any case (default: 1)', integer(0, 100_000))
    .action(async (reference: string, options: { unused?: true; keep?: number }, called: Command) => {
      const session = await openSession(called, io);
      const { name, version } = parseDatasetReference(reference);
      if (options.keep !== undefined && options.unused === undefined)
        throw new AppError('USAGE', { message: '--keep belongs to --unused.' });
      if (version !== undefined && options.unused !== undefined)
        throw new AppError('USAGE', { message: '--unused looks at all versions: give the name alone.' });
      const query = {
        ...(version === undefined ? {} : { version }),
        ...(options.unused === undefined ? {} : { unused: '1' as const }),
        ...(options.keep === undefined ? {} : { keep: options.keep }),
      };
      const result = await session.client.removeDataset({ params: { name }, query, signal: io.signal });
      await session.result(result, () => {
        const kept = result.kept.map((one) => `kept ${one.version}: ${one.because.join(', ')}`);
        return [...result.removed.map((one) => `removed ${one}`), ...kept].join('\n');
      });
      if (result.removed.length === 0) session.note('Nothing was removed.');
    });
  finishLeaf(removed, { examples: ['selvedge dataset rm digits@1', 'selvedge dataset rm digits --unused --keep 2'] });
}

/** What can be done with versions that are there. */
export function registerDatasetVersions(command: Command, io: Io): void {
  registerSplit(command, io);
  registerDiff(command, io);
  registerVerify(command, io);
  registerExport(command, io);
  registerRemove(command, io);
}
