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

/** Files that a device needs to run it: licences, the list of parts and the golden sample are for people and tests. */
function needed({ report }: BuiltPackage): number {
  const { files, modelFile, entrypoint } = report.manifest;
  const isNeeded = (path: string) => path === entrypoint || path === modelFile || path.startsWith('lib/');
  return files.filter(({ path }) => isNeeded(path)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function sizeNote(built: BuiltPackage, all: number, packed: number): string {
  const { files, modelFile } = built.report.manifest;
  const model = files.find(({ path }) => path === modelFile)?.sizeBytes ?? 0;
  return `executable ${((needed(built) - model) / 1e6).toFixed(2)}, weights ${(model / 1e6).toFixed(2)}, with licences and golden sample ${(all / 1e6).toFixed(2)}, packed ${(packed / 1e6).toFixed(2)}`;
}

export async function sizes(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const targets = context.flags.quick ? (['linux-amd64'] as const) : TARGETS;
  for (const { network: name, precision, mb } of BARS) {
    const network = context.network(name);
    if (network === undefined) continue;
    for (const target of targets) {
      const built = await context.package(network, target, precision);
      const all = built.report.manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const { size: packed } = await stat(join(built.folder, '../../data/files.tar.zst'));
      rows.push({
        what: `${name} ${precision}, ${target}`,
        measured: needed(built) / 1e6,
        unit: 'MB',
        bar: { is: '<=', value: mb },
        isExact: true,
        note: sizeNote(built, all, packed),
      });
    }
    if (context.flags.quick) continue;
    const built = await context.package(network, 'linux-amd64', 'fp32', 'onnxruntime');
    rows.push({ what: `${name} fp32, linux-amd64, engine onnxruntime`, measured: needed(built) / 1e6, unit: 'MB' });
  }
  return {
    subject: 'Size',
    how: 'everything that runs but the kernel, uncompressed: executable, weights, libraries (packages of the build tool)',
    rows,
  };
}

/** A package again, everything else being there. */
export async function buildTime(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  for (const network of context.networks) {
    for (const precision of ['fp32', 'int8'] as const) {
      const { target } = await context.package(network, 'linux-amd64', precision);
      const { report } = await buildBenchPackage(network, target, { engine: 'xnnpack', precision }, join(context.folder, 'again'));
      const what = `${network.name} ${precision}`;
      rows.push({
        what,
        measured: report.seconds,
        unit: 's',
        bar: { is: '<=', value: BUILD_SECONDS },
        note: precision === 'int8' ? 'with calibration on 100 pictures' : '',
      });
    }
  }
  return { subject: 'Build time', how: 'lowering to archive, wall clock, objects of the runtime cached (buildPackage)', rows };
}
