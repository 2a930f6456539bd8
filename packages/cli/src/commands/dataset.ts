import { resolve } from 'node:path';
import { AppError, type Client, type Dataset, type DatasetVersion } from '@selvedge/contract';
import type { Command } from 'commander';
import { uploadDataset } from '../data/upload-dataset.ts';
import { waitImported } from '../data/wait-imported.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { share } from '../options.ts';
import { ageOf, formatBytes, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

interface AddOptions {
  from: string[];
  sha256?: string;
  testShare?: number;
}

const IS_URL = /^https?:\/\//i;

function splitsOf(version: DatasetVersion): string {
  const splits = Object.entries(version.status.content?.splits ?? {});
  return orDash(splits.map(([split, count]) => `${split} ${count}`).join(', '));
}

function labelsOf(version: DatasetVersion): string {
  const labels = version.status.content?.labels ?? [];
  const shown = labels.slice(0, 20).join(' ');
  return `${labels.length}${labels.length === 0 ? '' : `: ${shown}${labels.length > 20 ? ' …' : ''}`}`;
}

function sourceOf({ spec: { dataset, source } }: DatasetVersion): string {
  switch (source.type) {
    case 'upload':
      return source.fileName;
    case 'url':
      return source.url;
    case 's3':
      return `s3://${source.bucket}/${source.key}`;
    case 'artifact':
      return `artifact ${source.artifact} of ${source.tool}`;
    case 'split':
      return `${dataset}@${source.version}, split anew (seed ${source.resplit.seed})`;
  }
}

function describeVersion(version: DatasetVersion): [string, string][] {
  const content = version.status.content;
  return [
    ['Dataset', version.spec.dataset],
    ['Version', String(version.spec.version)],
    ['State', version.status.phase],
    ['Source', sourceOf(version)],
    ['Files', content === null ? '-' : `${content.files}, ${formatBytes(content.sizeBytes)}`],
    ['Splits', splitsOf(version)],
    ['Labels', labelsOf(version)],
    ['Digest', orDash(content?.digest)],
  ];
}

async function addFromUrl(session: Session, name: string, url: string, options: AddOptions): Promise<DatasetVersion> {
  const body: Parameters<Client['importDataset']>[0]['body'] = {
    url,
    ...(options.sha256 === undefined ? {} : { sha256: options.sha256.toLowerCase() }),
    ...(options.testShare === undefined ? {} : { testShare: options.testShare }),
  };
  return await session.client.importDataset({ params: { name }, body, signal: session.io.signal });
}

async function add(session: Session, name: string, options: AddOptions): Promise<DatasetVersion> {
  const { io } = session;
  const [first] = options.from;
  if (first !== undefined && options.from.length === 1 && IS_URL.test(first)) return await addFromUrl(session, name, first, options);
  if (options.from.some((from) => IS_URL.test(from)))
    throw new AppError('USAGE', { message: '--from takes one URL, or folders and files of this machine, not both.' });
  return await uploadDataset(session, {
    name,
    paths: options.from.map((from) => resolve(io.cwd, from)),
    sha256: options.sha256?.toLowerCase(),
    testShare: options.testShare,
  });
}

async function versionsOf(session: Session, dataset?: string): Promise<DatasetVersion[]> {
  const all = await listAll(session, 'DatasetVersion');
  const wanted = dataset === undefined ? all : all.filter((version) => version.spec.dataset === dataset);
  return wanted.sort((a, b) => b.spec.version - a.spec.version);
}

function registerAdd(command: Command, io: Io): void {
  const added = command
    .command('add <name>')
    .description('add a version of a dataset; the same files again give the same version')
    .requiredOption('--from <path|url...>', 'a folder, files, or one URL')
    .option('--sha256 <digest>', 'refuse a download or a single file that does not have this digest')
    .option('--test-share <share>', 'share held out for tests when the data has no test split (default: 0.2)', share)
    .action(async (name: string, options: AddOptions, called: Command) => {
      const session = await openSession(called, io);
      const version = await waitImported(session, await add(session, name, options));
      await session.result(version, () => renderFields(describeVersion(version)));
      session.note(`Next: name it in a pipeline file ("dataset": {"name": "${name}", ...}), then selvedge apply -f FILE`);
    });
  finishLeaf(added, {
    examples: [
      'selvedge dataset add digits --from ./digits',
      'selvedge dataset add digits --from https://example.org/digits.tar.gz --sha256 9f86d0…',
    ],
    notes: `A dataset of pictures is a folder of folders named after their labels, optionally below train/ and test/. A folder with
IDX files (also .gz) works alike. Symbolic links inside are left out.`,
  });
}

function listTable(datasets: readonly Dataset[], versions: readonly DatasetVersion[], now: number): string {
  const rows = datasets.map((dataset) => {
    const own = versions.filter((one) => one.spec.dataset === dataset.metadata.name);
    // Without a usable version the newest one tells why.
    const latest = own.find((one) => one.spec.version === dataset.status.latestVersion) ?? own[0];
    const content = latest?.status.content;
    return [
      dataset.metadata.name,
      orDash(dataset.status.latestVersion?.toString()),
      latest?.status.phase ?? '-',
      latest === undefined ? '-' : splitsOf(latest),
      content ? String(content.labels.length) : '-',
      content ? formatBytes(content.sizeBytes) : '-',
      ageOf(dataset.metadata.createdAt, now),
    ];
  });
  return renderTable(['DATASET', 'LATEST', 'STATE', 'SPLITS', 'LABELS', 'SIZE', 'AGE'], rows);
}

function versionTable(versions: readonly DatasetVersion[], now: number): string {
  const rows = versions.map((one) => [
    String(one.spec.version),
    one.status.phase,
    splitsOf(one),
    one.status.content?.digest.slice(0, 12) ?? '-',
    ageOf(one.metadata.createdAt, now),
    one.status.message,
  ]);
  return renderTable(['VERSION', 'STATE', 'SPLITS', 'DIGEST', 'AGE', 'MESSAGE'], rows);
}

export function registerDataset(command: Command, io: Io): void {
  registerAdd(command, io);
  const list = command
    .command('list')
    .description('show the datasets')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const items = await listAll(session, 'Dataset');
      const versions = items.length === 0 ? [] : await versionsOf(session);
      await session.result({ items, versions }, () => (items.length === 0 ? '' : listTable(items, versions, io.now())));
      if (items.length === 0) session.note('No datasets. "selvedge dataset add NAME --from FOLDER" adds one.');
    });
  finishLeaf(list, { examples: ['selvedge dataset list'] });
  const show = command
    .command('show <name>')
    .description('show a dataset with its versions, newest first')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const dataset = await getOne(session, 'Dataset', name);
      const versions = await versionsOf(session, name);
      const [latest] = versions;
      await session.result({ dataset, versions }, () =>
        latest === undefined
          ? renderFields([['Dataset', name]])
          : `${renderFields(describeVersion(latest))}\n\n${versionTable(versions, io.now())}`,
      );
      if (latest === undefined) session.note(`It has no version yet. "selvedge dataset add ${name} --from FOLDER" adds one.`);
    });
  finishLeaf(show, { examples: ['selvedge dataset show digits'] });
}
