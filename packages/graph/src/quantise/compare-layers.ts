import { type Model, type Node, writeModel } from '../onnx/index.ts';
import { openSession, type Session } from '../session/index.ts';
import { type Batches, breathe, type Feeds, withOutputs } from './calibrate.ts';
import { nodeName, type Wiring, wiringOf } from './choose-nodes.ts';
import { ruleOf } from './operators.ts';
import { prepareModel } from './prepare-model.ts';

/** How much of a layer's result is left. */
export interface LayerNoise {
  /** Name of the node, as the option `skip` takes it. */
  readonly node: string;
  readonly op: string;
  /** Name of its result in the float model. */
  readonly value: string;
  /** Signal-to-quantisation-noise ratio in decibels, within -200..200; 20 more is a tenth of the error. */
  readonly sqnrDb: number;
}

export interface CompareOptions {
  /** Threads of ONNX Runtime; default 1. */
  readonly threads?: number;
  /** Called after each batch with the number done. */
  readonly onProgress?: (batches: number) => void;
  /** Ends the work between two batches. */
  readonly signal?: AbortSignal;
}

/** Where a value of the float model is found in the quantised one. */
interface Pair {
  readonly node: Node;
  readonly value: string;
  readonly dequantised: string;
}

const MOST_DB = 200;

/** The ratio of two sums of squares in decibels. */
function decibels(signal: number, noise: number): number {
  if (noise === 0) return MOST_DB;
  return Math.max(-MOST_DB, Math.min(MOST_DB, 10 * Math.log10(signal / noise)));
}

/** The node that `skip` would name: a Relu or Clip in float between a node and its QuantizeLinear belongs to that node. */
function layerOf(raw: string, wiring: Wiring): Node | undefined {
  const maker = wiring.maker.get(raw);
  const before = maker && ruleOf(maker)?.kind === 'clamp' ? wiring.maker.get(maker.inputs[0] ?? '') : undefined;
  return before && before.op !== 'DequantizeLinear' ? before : maker;
}

function pairsOf(floatValues: ReadonlySet<string>, quantised: Model): Pair[] {
  const wiring = wiringOf(quantised);
  return quantised.graph.nodes.flatMap((node): Pair[] => {
    if (node.op !== 'DequantizeLinear') return [];
    const quantise = wiring.maker.get(node.inputs[0] ?? '');
    const [raw = '', dequantised = ''] = [quantise?.inputs[0], node.outputs[0]];
    const layer = quantise && layerOf(raw, wiring);
    // Model inputs have no maker, and what is quantised a second time comes from a DequantizeLinear: neither is a layer.
    if (!layer || layer.op === 'DequantizeLinear') return [];
    const value = wiring.results.has(dequantised) ? dequantised : raw;
    return floatValues.has(value) && ruleOf(layer) ? [{ node: layer, value, dequantised }] : [];
  });
}

async function accumulate(
  sessions: readonly [Session, Session],
  feeds: Feeds,
  pairs: readonly Pair[],
  sums: Map<Pair, [number, number]>,
): Promise<void> {
  const expected = await sessions[0].run(feeds);
  const actual = await sessions[1].run(feeds);
  for (const pair of pairs) {
    const [a, b] = [expected[pair.value], actual[pair.dequantised]];
    if (a?.type !== 'float32' || b?.type !== 'float32') continue;
    let [signal, noise] = sums.get(pair) ?? [0, 0];
    for (let i = 0; i < a.data.length; i++) {
      const value = a.data[i] ?? 0;
      const error = value - (b.data[i] ?? 0);
      signal += value * value;
      noise += error * error;
    }
    sums.set(pair, [signal, noise]);
  }
}

/**
 * Runs a float model and what `quantiseModel` made of it side by side, and tells for each quantised layer how large its
 * result is against the error in it, the error of the layers before included.
 *
 * @returns worst first: the layers that hurt most. Nothing without batches.
 * @throws AppError SHAPE_MISMATCH when feeds do not fit; MODEL_INVALID when ONNX Runtime refuses a model.
 * @throws the signal's reason when it is aborted.
 */
export async function compareLayers(
  floatModel: Model,
  quantisedModel: Model,
  batches: Batches,
  options: CompareOptions = {},
): Promise<LayerNoise[]> {
  const prepared = prepareModel(floatModel);
  const pairs = pairsOf(new Set(prepared.graph.nodes.flatMap((node) => node.outputs)), quantisedModel);
  if (pairs.length === 0) return [];
  const threads = options.threads ?? 1;
  const sums = new Map<Pair, [number, number]>();
  const open: Session[] = [];
  try {
    const float = await openSession(
      writeModel(
        withOutputs(
          prepared,
          pairs.map((pair) => pair.value),
        ),
      ),
      { threads },
    );
    open.push(float);
    const int8 = await openSession(
      writeModel(
        withOutputs(
          quantisedModel,
          pairs.map((pair) => pair.dequantised),
        ),
      ),
      { threads },
    );
    open.push(int8);
    let done = 0;
    for await (const feeds of batches) {
      await accumulate([float, int8], feeds, pairs, sums);
      options.onProgress?.(++done);
      await breathe(options.signal);
    }
  } finally {
    for (const session of open) await session.close();
  }
  const layers = [...sums].map(([pair, [signal, noise]]) => ({
    node: nodeName(pair.node),
    op: pair.node.op,
    value: pair.value,
    sqnrDb: decibels(signal, noise),
  }));
  return layers.sort((a, b) => a.sqnrDb - b.sqnrDb);
}
