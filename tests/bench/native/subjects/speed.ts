// Inference alone, the whole pipeline, and what the runtime costs over its engine.
import type { BenchContext, BuildPrecision } from '../bench-context.ts';
import { FULL_HD, VGA } from '../bench-context.ts';
import { withLoader } from '../loader.ts';
import type { TestNetwork } from '../models.ts';
import { interleave, Peer } from '../peer.ts';
import { PEERS_DIR } from '../places.ts';
import type { Bar, Row, Table } from '../report.ts';
import { pythonTree } from '../trees.ts';

const PRECISIONS: readonly BuildPrecision[] = ['fp32', 'int8'];
const ORT = 'ONNX Runtime 1.21 C++ fp32';
const PYTHON = 'Python + OpenCV + ONNX Runtime 1.21';
const INFERENCE_BARS: Readonly<Record<BuildPrecision, Bar>> = { fp32: { is: '<=', value: 0.9 }, int8: { is: '<=', value: 0.45 } };
/** The digit CNN is so small that starting an inference is most of it: told, without a bar. */
const WITHOUT_BAR = 'digits';
const PIPELINE_BARS: Readonly<Record<BuildPrecision, readonly [vga: number, fullHd: number]>> = { fp32: [1.35, 1.4], int8: [2.8, 2.2] };
const OVERHEAD_PERCENT = 3;

const budgetOf = ({ flags }: BenchContext): number => (flags.quick ? 250 : 1000);

async function packageWords(
  context: BenchContext,
  network: TestNetwork,
  precision: BuildPrecision,
  mode: string,
  input: string,
): Promise<string[]> {
  const built = await context.package(network, 'linux-amd64', precision);
  const { program, folder } = await context.packagePeer(built);
  return [program, mode, folder, input];
}

/** All engines on the same tensor, in one run. */
export async function inference(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  for (const network of context.networks) {
    const input = await context.inputFile(network);
    const first = await context.package(network, 'linux-amd64', 'fp32');
    const peers = [new Peer(ORT, [...(await context.ortPeer()), 'infer', await context.onnxFile(first), input])];
    for (const precision of PRECISIONS) peers.push(new Peer(precision, await packageWords(context, network, precision, 'infer', input)));
    if (!context.flags.quick) {
      const built = await context.package(network, 'linux-amd64', 'fp32', 'onnxruntime');
      const { program, folder } = await context.packagePeer(built);
      peers.push(new Peer('engine onnxruntime', [program, 'infer', folder, input]));
    }
    const found = await interleave(peers, context.flags.rounds, budgetOf(context));
    const reference = found.get(ORT)?.medianMs ?? Number.NaN;
    rows.push({ what: `${network.name}, ${ORT}`, measured: reference, unit: 'ms' });
    for (const [name, { medianMs }] of found) {
      if (name === ORT) continue;
      const bar = name === 'fp32' || name === 'int8' ? INFERENCE_BARS[name] : undefined;
      const note = `${medianMs.toPrecision(3)} ms`;
      const hasBar = bar !== undefined && network.name !== WITHOUT_BAR;
      rows.push({
        what: `${network.name}, package ${name}`,
        measured: medianMs / reference,
        unit: 'x its time',
        ...(hasBar ? { bar } : {}),
        note,
      });
    }
  }
  const how =
    "processor time of one inference, 1 thread, engines in turn; median of the rounds' medians (package_peer infer, ort_peer infer)";
  return { subject: 'Inference alone', how, rows };
}

async function pythonWords(
  context: BenchContext,
  model: string,
  picture: string,
  mode: string,
): Promise<{ words: string[]; env: Record<string, string> }> {
  const tree = await context.tree(pythonTree);
  const env = { PYTHONHOME: `${tree.root}/usr`, PYTHONDONTWRITEBYTECODE: '1' };
  return {
    words: [...withLoader(tree, 'amd64'), `${tree.root}/usr/bin/python3`, `${PEERS_DIR}/users_script.py`, mode, model, picture],
    env,
  };
}

export { pythonWords };

/** From the file to the boxes, against the script that users write. */
export async function pipeline(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const network = context.network('detector');
  if (network === undefined) return { subject: 'Whole pipeline', how: 'the detector is not among the networks', rows };
  const first = await context.package(network, 'linux-amd64', 'fp32');
  const model = await context.onnxFile(first);
  for (const [at, size] of [VGA, FULL_HD].entries()) {
    const picture = await context.pictureFile(size);
    const peers: Peer[] = [];
    if (!context.flags.quick) {
      const { words, env } = await pythonWords(context, model, picture, 'pipeline');
      peers.push(new Peer(PYTHON, words, env));
    }
    for (const precision of PRECISIONS)
      peers.push(new Peer(precision, await packageWords(context, network, precision, 'pipeline', picture)));
    const found = await interleave(peers, context.flags.rounds, budgetOf(context));
    const reference = found.get(PYTHON)?.medianMs;
    for (const [name, { medianMs }] of found) {
      const what = `${size.join('x')}, ${name === PYTHON ? PYTHON : `package ${name}`}`;
      const perSecond = { what, measured: 1000 / medianMs, unit: 'images/s', note: `${medianMs.toPrecision(3)} ms` };
      rows.push(perSecond);
      const bar = name === 'fp32' || name === 'int8' ? PIPELINE_BARS[name][at] : undefined;
      if (reference === undefined || bar === undefined) continue;
      rows.push({ what: `${what} against it`, measured: reference / medianMs, unit: 'x', bar: { is: '>=', value: bar } });
    }
  }
  const how =
    'detector: file, JPEG (quality 90), pre-processing, inference, boxes; processor time, 1 thread, in turn (package_peer pipeline, users_script.py)';
  return { subject: 'Whole pipeline', how, rows };
}

/** Stage "infer" of a pipeline that computes pictures, against the engine alone in a loop. */
export async function overhead(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const picture = await context.pictureFile(VGA);
  for (const network of context.networks) {
    for (const precision of PRECISIONS) {
      const peer = new Peer('overhead', await packageWords(context, network, precision, 'overhead', picture));
      const found = (await interleave([peer], context.flags.rounds, budgetOf(context))).get('overhead');
      const [stage, bare] = [found?.medianMs ?? Number.NaN, found?.bareMs ?? Number.NaN];
      const bar = network.name === WITHOUT_BAR ? {} : { bar: { is: '<=' as const, value: OVERHEAD_PERCENT } };
      rows.push({
        what: `${network.name} ${precision}`,
        measured: (stage / bare - 1) * 100,
        unit: '%',
        ...bar,
        note: `${stage.toPrecision(3)} ms against ${bare.toPrecision(3)} ms`,
      });
    }
  }
  const how =
    'stage "infer" within the pipeline against the same engine in a loop, turn by turn in one process, wall clock, lower quartiles (package_peer overhead)';
  return { subject: 'Overhead of the runtime', how, rows };
}
