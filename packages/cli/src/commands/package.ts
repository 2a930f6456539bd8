import type { Package, PackageBenchmark } from '@selvedge/contract';
import type { Command } from 'commander';
import { chunksOf } from '../connect.ts';
import { exportPackage, verifyPackage } from '../data/package-archive.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { copyTo } from '../output/copy-stream.ts';
import { ageOf, formatBytes, formatNumber, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { getOne, listAll, newestFirst } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

const MIB = 1024 * 1024;

function unpackedBytes({ status }: Package): number | undefined {
  return status.manifest?.files.reduce((sum, file) => sum + file.sizeBytes, 0);
}

export function packageTable(session: Session, packages: readonly Package[]): string {
  const rows = packages.map((one) => {
    const { metadata, spec, status } = one;
    const [newest] = [...status.benchmarks].sort((a, b) => (a.at > b.at ? -1 : 1));
    return [
      metadata.name,
      `${spec.model}:${spec.version}`,
      spec.target,
      session.state(status.phase),
      orDash(status.engine),
      orDash(status.precision),
      status.archive === null ? '-' : formatBytes(status.archive.sizeBytes),
      newest === undefined ? '-' : `p50 ${formatNumber(newest.latencyMs.p50)} ms on ${newest.device}`,
      ageOf(metadata.createdAt, session.io.now()),
    ];
  });
  return renderTable(['PACKAGE', 'MODEL', 'TARGET', 'STATE', 'ENGINE', 'PRECISION', 'SIZE', 'BENCHMARK', 'AGE'], rows);
}

/** One line per measurement. */
export function benchmarkRows(one: Package, benchmarks: readonly PackageBenchmark[]): string[][] {
  return benchmarks.map((benchmark) => [
    benchmark.device,
    one.metadata.name,
    `${orDash(one.status.engine)} ${orDash(one.status.precision)}`,
    ...[benchmark.latencyMs.p50, benchmark.latencyMs.p90, benchmark.latencyMs.p95, benchmark.latencyMs.p99].map((ms) => ms.toFixed(2)),
    benchmark.imagesPerS.toFixed(1),
    (benchmark.rssBytes / MIB).toFixed(1),
    benchmark.coldStartMs.toFixed(1),
    benchmark.cpuTemperatureC === null ? '-' : benchmark.cpuTemperatureC.toFixed(0),
    benchmark.energyMj === null ? '-' : formatNumber(benchmark.energyMj),
  ]);
}
export const BENCHMARK_HEAD = [
  'DEVICE',
  'PACKAGE',
  'BUILT AS',
  'P50 MS',
  'P90',
  'P95',
  'P99',
  'IMAGES/S',
  'RSS MIB',
  'START MS',
  '°C',
  'MJ',
] as const;

function scores(values: Readonly<Record<string, number>> | undefined): string {
  return orDash(
    Object.entries(values ?? {})
      .map(([name, value]) => `${name} ${formatNumber(value)}`)
      .join(', '),
  );
}

export function describePackage(session: Session, one: Package): string {
  const { metadata, spec, status } = one;
  const { manifest, archive } = status;
  const unpacked = unpackedBytes(one);
  const facts = renderFields([
    ['Package', metadata.name],
    ['State', session.state(status.phase)],
    ['Message', orDash(status.message)],
    ['Model', `${spec.model}:${spec.version}`],
    ['Target', spec.target],
    ['Engine', orDash(status.engine)],
    ['Precision', orDash(status.precision)],
    ['Size', archive === null || unpacked === undefined ? '-' : `${formatBytes(archive.sizeBytes)}, ${formatBytes(unpacked)} unpacked`],
    ['Scores', `trained: ${scores(manifest?.benchmark.trained)}; built: ${scores(manifest?.benchmark.built)}`],
    ['Archive', archive === null ? '-' : `sha256 ${archive.sha256}`],
    ['Built', status.builtAt === null ? '-' : `${ageOf(status.builtAt, session.io.now())} ago`],
  ]);
  const current = status.benchmarks.filter((benchmark) => benchmark.archiveSha256 === archive?.sha256);
  const benchmarks = current.length === 0 ? '' : renderTable(BENCHMARK_HEAD, benchmarkRows(one, current));
  const notes = status.notes.map((note) => `- ${note}`).join('\n');
  return [facts, notes, benchmarks].filter((part) => part !== '').join('\n\n');
}

function registerArchive(command: Command, io: Io): void {
  const verify = command
    .command('verify <file-or-name>')
    .description('check signature and digests of an archive on disk, or of a package on the server')
    .option('--ca <file>', 'certificate of the authority (PEM); a file is then checked without a server')
    .action(async (what: string, options: { ca?: string }, called: Command) => {
      const session = await openSession(called, io);
      const { manifest, archive, manifestSha256, signer } = await verifyPackage(session, what, options.ca);
      const { model, version, target, engine, precision } = manifest;
      const value = {
        verified: true,
        model,
        version,
        target,
        engine,
        precision,
        archive,
        manifestSha256,
        signer,
        files: manifest.files.length,
      };
      await session.result(value, () =>
        [
          `${what}: ${model}:${version} for ${target} (${engine}, ${precision}), ${manifest.files.length} files, ${formatBytes(archive.sizeBytes)}`,
          `signed by ${signer.subject}, certificate sha256 ${signer.fingerprint256}`,
        ].join('\n'),
      );
    });
  finishLeaf(verify, {
    examples: ['selvedge package verify digits.1.linux-armv7.fp32', 'selvedge package verify digits.tar.zst --ca ca.pem'],
    notes: 'Every byte counts: an archive that was changed anywhere is refused, and the exit code tells.',
  });
  const get = command
    .command('export <name>')
    .description('download the archive of a package, or unpack it; it is verified on the way')
    .option('-o, --out <file>', 'file to write (default: NAME.tar.zst)')
    .option('--unpack <dir>', 'unpack into this folder instead; it must be empty or not exist')
    .action(async (name: string, options: { out?: string; unpack?: string }, called: Command) => {
      const session = await openSession(called, io);
      const { path, verified } = await exportPackage(session, name, options);
      const { archive, manifest } = verified;
      await session.result(
        { package: name, path, sha256: archive.sha256, sizeBytes: archive.sizeBytes, files: manifest.files.length },
        () =>
          `${path}: ${manifest.model}:${manifest.version} for ${manifest.target}, ${formatBytes(archive.sizeBytes)}, sha256 ${archive.sha256}`,
      );
      if (options.unpack !== undefined) session.note(`Try it: ${options.unpack}/${manifest.entrypoint} --describe`);
    });
  finishLeaf(get, {
    examples: [
      'selvedge package export digits.1.linux-amd64.fp32 --unpack ./digits',
      'selvedge package export digits.1.linux-armv7.fp32 -o digits.tar.zst',
    ],
    output: 'file',
  });
}

export function registerPackage(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show the packages, newest first')
    .option('--model <name>', 'only those of this model')
    .action(async (options: { model?: string }, called: Command) => {
      const session = await openSession(called, io);
      const all = newestFirst(await listAll(session, 'Package'));
      const items = options.model === undefined ? all : all.filter((one) => one.spec.model === options.model);
      await session.result({ items }, () => (items.length === 0 ? '' : packageTable(session, items)));
      if (items.length === 0) session.note('No packages. "selvedge build create MODEL:VERSION --target TARGET" makes one.');
    });
  finishLeaf(list, { examples: ['selvedge package list', 'selvedge package list --model digits -o json'] });
  const show = command
    .command('show <name>')
    .description('show a package: how it was built, what it weighs, how fast it is')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const one = await getOne(session, 'Package', name);
      await session.result(one, () => describePackage(session, one));
    });
  finishLeaf(show, { examples: ['selvedge package show digits.1.linux-armv7.fp32'] });
  const log = command
    .command('log <name>')
    .description('print the log of the build of a package')
    .option('--follow', 'go on until it is built')
    .action(async (name: string, options: { follow?: boolean }, called: Command) => {
      const session = await openSession(called, io);
      const query = options.follow === true ? { follow: '1' as const } : {};
      const response = await session.client.stream('getPackageLog', { params: { name }, query, signal: io.signal });
      await copyTo(io.stdout, chunksOf(response, session.settings.serverUrl), io.signal);
    });
  finishLeaf(log, { examples: ['selvedge package log digits.1.linux-armv7.fp32 --follow'] });
  registerArchive(command, io);
}
