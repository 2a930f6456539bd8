import { resolve } from 'node:path';
import {
  AppError,
  type Client,
  DATASET_LAYOUTS,
  type Dataset,
  type DatasetLayout,
  type DatasetVersion,
  type ImportOptions,
} from '@selvedge/contract';
import { type Command, Option } from 'commander';
import { parseDatasetReference } from '../data/dataset-reference.ts';
import { uploadDataset } from '../data/upload-dataset.ts';
import { waitImported } from '../data/wait-imported.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { collect, share } from '../options.ts';
import { describeVersion, list, renderReport, splitsOf } from '../output/dataset-text.ts';
import { ageOf, formatBytes, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { registerDatasetVersions } from './dataset-versions.ts';

interface AddOptions {
  from: string[];
  sha256?: string;
  testShare?: number;
  format?: DatasetLayout;
  skipBroken?: true;
  labelColumn?: string;
  ignoreColumn?: string[];
  groupBefore?: string;
  s3Endpoint?: string;
  s3Region?: string;
}

const IS_URL = /^https?:\/\//i;

/** The options of reading, as the API has them. */
function importOptions(options: AddOptions): ImportOptions {
  return {
    ...(options.format === undefined ? {} : { format: options.format }),
    ...(options.skipBroken === undefined ? {} : { skipBroken: options.skipBroken }),
    ...(options.labelColumn === undefined ? {} : { labelColumn: options.labelColumn }),
    ...(options.ignoreColumn === undefined ? {} : { ignoreColumns: options.ignoreColumn }),
    ...(options.groupBefore === undefined ? {} : { groupBefore: options.groupBefore }),
  };
}

type ImportRequest = Parameters<Client['importDataset']>[0]['body'];

/** A place that the server fetches from; undefined for one of this machine. */
function remoteSource(from: string, options: AddOptions): Pick<ImportRequest, 'url' | 's3' | 'artifact'> | undefined {
  if (IS_URL.test(from)) return { url: from };
  const s3 = /^s3:\/\/([^/]+)\/?(.*)$/.exec(from);
  if (s3?.[1] !== undefined) {
    const { s3Endpoint: endpoint, s3Region: region } = options;
    const place = { bucket: s3[1], key: s3[2] ?? '' };
    return { s3: { ...place, ...(endpoint === undefined ? {} : { endpoint }), ...(region === undefined ? {} : { region }) } };
  }
  const artifact = /^artifact:([^/]+)\/([^/]+)$/.exec(from);
  if (artifact?.[1] !== undefined && artifact[2] !== undefined) return { artifact: { tool: artifact[1], name: artifact[2] } };
  return undefined;
}

async function add(session: Session, name: string, options: AddOptions): Promise<DatasetVersion> {
  const { io } = session;
  const [first = ''] = options.from;
  const remote = options.from.map((from) => remoteSource(from, options));
  const testShare = options.testShare === undefined ? {} : { testShare: options.testShare };
  if (remote[0] !== undefined && remote.length === 1) {
    const sha256 = options.sha256 === undefined ? {} : { sha256: options.sha256.toLowerCase() };
    const reading = importOptions(options);
    const given = Object.keys(reading).length === 0 ? {} : { options: reading };
    const body: ImportRequest = { ...remote[0], ...sha256, ...testShare, ...given };
    return await session.client.importDataset({ params: { name }, body, signal: io.signal });
  }
  if (remote.some((one) => one !== undefined))
    throw new AppError('USAGE', { message: `--from takes one address such as ${first}, or folders and files of this machine, not both.` });
  return await uploadDataset(session, {
    name,
    paths: options.from.map((from) => resolve(io.cwd, from)),
    sha256: options.sha256?.toLowerCase(),
    testShare: options.testShare,
    options: importOptions(options),
  });
}

async function versionsOf(session: Session, dataset?: string): Promise<DatasetVersion[]> {
  const all = await listAll(session, 'DatasetVersion');
  const listed = all.filter(({ status }) => status.sameAs === undefined && status.phase !== 'Removing');
  const wanted = dataset === undefined ? listed : listed.filter((version) => version.spec.dataset === dataset);
  return wanted.sort((a, b) => b.spec.version - a.spec.version);
}

function registerAdd(command: Command, io: Io): void {
  const added = command
    .command('add <name>')
    .description('add a version of a dataset; the same files again give the same version')
    .requiredOption('--from <path|url...>', 'a folder, files, or one URL, s3://BUCKET/KEY or artifact:TOOL/NAME')
    .option('--sha256 <digest>', 'refuse a download or a single file that does not have this digest')
    .option('--test-share <share>', 'share held out for tests when the data has no test split (default: 0.2)', share)
    .addOption(new Option('--format <layout>', 'the layout, in place of what is recognised').choices(DATASET_LAYOUTS))
    .option('--skip-broken', 'import without the files that cannot be used; "dataset show" names them')
    .option('--label-column <name>', 'CSV: the column with the class')
    .option('--ignore-column <name>', 'CSV: a column that is no feature; may be given several times', collect)
    .option('--group-before <text>', "pictures: the file's name up to this text is its group, which splits keep together")
    .option('--s3-endpoint <url>', 'a server that speaks S3 and is not AWS')
    .option('--s3-region <region>', 'region of the bucket (default: AWS_REGION of the server, or us-east-1)')
    .action(async (name: string, options: AddOptions, called: Command) => {
      const session = await openSession(called, io);
      const version = await waitImported(session, await add(session, name, options));
      await session.result(version, () => renderFields(describeVersion(version)));
      if (version.status.sameAs !== undefined) session.note(`Version ${version.status.sameAs} has the same content; no other was made.`);
      session.note(`Next: name it in a pipeline file ("dataset": {"name": "${name}", ...}), then selvedge apply -f FILE`);
    });
  finishLeaf(added, {
    examples: [
      'selvedge dataset add digits --from ./digits',
      'selvedge dataset add digits --from https://example.org/digits.tar.gz --sha256 9f86d0…',
      'selvedge dataset add fruit --from ./coco --skip-broken',
      'selvedge dataset add iris --from iris.csv --label-column species --ignore-column id',
    ],
    notes: `Layouts are recognised: folders named after their labels (optionally below train/ and test/), COCO JSON, YOLO, Pascal VOC,
CSV with a column of pictures or with a table, IDX (also .gz), NPZ, and what "dataset export" wrote. Symbolic links inside
are left out. The guide: docs/guides/datasets.md.`,
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
  const listed = command
    .command('list')
    .description('show the datasets')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const items = await listAll(session, 'Dataset');
      const versions = items.length === 0 ? [] : await versionsOf(session);
      await session.result({ items, versions }, () => (items.length === 0 ? '' : listTable(items, versions, io.now())));
      if (items.length === 0) session.note('No datasets. "selvedge dataset add NAME --from FOLDER" adds one.');
    });
  finishLeaf(listed, { examples: ['selvedge dataset list'] });
  registerShow(command, io);
  registerDatasetVersions(command, io);
}

function registerShow(command: Command, io: Io): void {
  const show = command
    .command('show <name[@version]>')
    .description('show a dataset with its versions; with a version its class balance, sizes, copies and broken files')
    .action(async (text: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const { name, version } = parseDatasetReference(text);
      if (version !== undefined) return showVersion(session, name, version);
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
  finishLeaf(show, { examples: ['selvedge dataset show digits', 'selvedge dataset show digits@2'] });
}

async function showVersion(session: Session, name: string, version: number): Promise<void> {
  const detail = await session.client.getDatasetVersion({ params: { name, version }, signal: session.io.signal });
  const failure = detail.version.status.error;
  await session.result(detail, () => {
    const parts = [renderFields([...describeVersion(detail.version), ['Needed by', orDash(detail.neededBy.slice(0, 5).join(', '))]])];
    if (detail.report !== null) parts.push(renderReport(detail.report));
    if (failure?.issues != null)
      parts.push(
        list(
          'Broken',
          failure.issues.map((issue) => `${issue.path}: ${issue.message}`),
        ),
      );
    return parts.join('\n\n');
  });
}
