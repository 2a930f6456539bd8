// How large packages are, unpacked and packed, and how long making one takes.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchContext, BuildPrecision } from '../bench-context.ts';
import { type BuiltPackage, buildBenchPackage } from '../packages.ts';
import type { Row, Table } from '../report.ts';

const TARGETS = ['linux-amd64', 'linux-arm64', 'linux-armv7'] as const;
const BARS: readonly { network: string; precision: BuildPrecision; mb: number }[] = [
  { network: 'digits', precision: 'fp32', mb: 2.5 },
  { network: 'detector', precision: 'int8', mb: 6 },
];
const BUILD_SECONDS = 20;

function sizeNote({ report }: BuiltPackage, packed: number): string {
  const { files, modelFile, entrypoint, goldenFile } = report.manifest;
  const mb = (path: string | null) => ((files.find((file) => file.path === path)?.sizeBytes ?? 0) / 1e6).toFixed(2);
  return `executable ${mb(entrypoint)}, weights ${mb(modelFile)}, golden sample ${mb(goldenFile)}; packed ${(packed / 1e6).toFixed(2)}`;
}

const bytesOf = ({ report }: BuiltPackage) => report.manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

export async function sizes(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const targets = context.flags.quick ? (['linux-amd64'] as const) : TARGETS;
  for (const { network: name, precision, mb } of BARS) {
    const network = context.network(name);
    if (network === undefined) continue;
    for (const target of targets) {
      const built = await context.package(network, target, precision);
      const { size: packed } = await stat(join(built.folder, '../../data/files.tar.zst'));
      rows.push({
        what: `${name} ${precision}, ${target}`,
        measured: bytesOf(built) / 1e6,
        unit: 'MB',
        bar: { is: '<=', value: mb },
        isExact: true,
        note: sizeNote(built, packed),
      });
    }
    if (context.flags.quick) continue;
    const built = await context.package(network, 'linux-amd64', 'fp32', 'onnxruntime');
    rows.push({ what: `${name} fp32, linux-amd64, engine onnxruntime`, measured: bytesOf(built) / 1e6, unit: 'MB' });
  }
  return {
    subject: 'Size',
    how: 'every file of the package, uncompressed: executable, weights, libraries, golden sample, licences, parts list',
    rows,
  };
}

/** A package again, everything else being there. */
export async function buildTime(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const builds = [
    { engine: 'xnnpack', precision: 'fp32', note: '' },
    { engine: 'xnnpack', precision: 'int8', note: 'with calibration on 100 pictures' },
    { engine: 'onnxruntime', precision: 'fp32', note: 'the compressed libraries cached as well' },
  ] as const;
  for (const network of context.networks) {
    for (const { engine, precision, note } of builds) {
      const { target } = await context.package(network, 'linux-amd64', precision, engine);
      const { report } = await buildBenchPackage(network, target, { engine, precision }, join(context.folder, 'again'));
      rows.push({
        what: `${network.name} ${precision}${engine === 'xnnpack' ? '' : `, engine ${engine}`}`,
        measured: report.seconds,
        unit: 's',
        bar: { is: '<=', value: BUILD_SECONDS },
        note,
      });
    }
  }
  return { subject: 'Build time', how: 'lowering to archive, wall clock, objects of the runtime cached (buildPackage)', rows };
}
