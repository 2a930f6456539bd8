// Before any clock runs: the packages compute what ONNX Runtime computes. A fast wrong answer is no figure.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { postprocSchema } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { applyPostproc } from '@selvedge/graph/ops';
import { openSession } from '@selvedge/graph/session';
import type { BenchContext, BuildPrecision } from '../bench-context.ts';
import type { TestNetwork } from '../models.ts';
import { type BuiltPackage, preprocess } from '../packages.ts';
import { writePictures } from '../pictures.ts';
import type { Row, Table } from '../report.ts';
import { agreement, type Result, resultSchema, resultsOf } from './agreement.ts';

const run = promisify(execFile);

/** Largest difference of any output value, as a share of the largest value. */
const TENSOR_TOLERANCE: Readonly<Record<BuildPrecision, number>> = { fp32: 1e-3, int8: 0.3 };
/** Share of pictures (best class) or boxes (IoU >= 0.5, same class) that agree; the package decodes JPEGs at a reduced size. */
const RESULT_TOLERANCE = 0.85;
const PICTURES = 20;

async function floats(path: string): Promise<Float32Array> {
  const bytes = await readFile(path);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** The same tensor through the package's engine and through ONNX Runtime 1.21 in C++. */
async function tensorDifference(context: BenchContext, built: BuiltPackage): Promise<number> {
  const input = await context.inputFile(built.network);
  const { program, folder } = await context.packagePeer(built);
  const [ours, theirs] = [join(context.folder, 'ours.f32'), join(context.folder, 'theirs.f32')];
  await run(program, ['output', folder, input, ours]);
  const [loader = '', ...words] = [...(await context.ortPeer()), 'output', await context.onnxFile(built), input, theirs];
  await run(loader, words, { maxBuffer: 1 << 24 });
  const [a, b] = [await floats(ours), await floats(theirs)];
  if (a.length !== b.length) throw new Error(`${built.network.name}: ${a.length} values, not ${b.length}`);
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? Number.NaN))), 0) / largest;
}

/** What the reference ops and ONNX Runtime make of pictures. */
async function referenceResults(network: TestNetwork, onnx: Uint8Array, pictures: readonly string[]): Promise<Result[]> {
  const session = await openSession(onnx);
  const results: Result[] = [];
  const postproc = postprocSchema.parse(network.postproc);
  for (const path of pictures) {
    const { shape, data } = preprocess(network, await decodeImage(await readFile(path)));
    const dims = [1, ...shape];
    const outputs = await session.run({ [session.inputs[0]?.name ?? '']: { type: 'float32', dims, data } });
    const output = outputs[session.outputs[0]?.name ?? ''];
    if (output === undefined || !(output.data instanceof Float32Array)) throw new Error('the model gave no float32 output');
    results.push(resultSchema.parse(applyPostproc([{ shape: [...output.dims], data: output.data }], postproc, network.labels)));
  }
  await session.close();
  return results;
}

/** @throws Error when a package differs from ONNX Runtime by more than is allowed. */
export async function correctness(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const folder = join(context.folder, 'check-pictures');
  const pictures = await writePictures(folder, 300, PICTURES, 640, 480);
  for (const network of context.networks) {
    const first = await context.package(network, 'linux-amd64', 'fp32');
    const expected = await referenceResults(network, first.onnx, pictures);
    for (const precision of ['fp32', 'int8'] as const) {
      const built = await context.package(network, 'linux-amd64', precision);
      const what = `${network.name} ${precision}`;
      const difference = await tensorDifference(context, built);
      rows.push({
        what: `${what}, tensor`,
        measured: difference,
        unit: 'of the largest value',
        bar: { is: '<=', value: TENSOR_TOLERANCE[precision] },
        isExact: true,
      });
      const { share, boxes } = agreement(expected, await resultsOf(built.folder, folder));
      const bar = precision === 'fp32' ? { bar: { is: '>=' as const, value: RESULT_TOLERANCE }, isExact: true } : {};
      rows.push({
        what: `${what}, results`,
        measured: share,
        unit: 'agree',
        ...bar,
        note: boxes > 0 ? `${boxes} boxes` : `${PICTURES} pictures`,
      });
    }
  }
  return {
    subject: 'Correctness',
    how: 'package against ONNX Runtime: one tensor through both engines (Debian 1.21, C++), 20 pictures through both pipelines (Node)',
    rows,
  };
}
