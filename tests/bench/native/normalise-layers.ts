// Makes random weights behave like trained ones: without it, forty SiLU layers later nothing of the picture is left.
import { float32Tensor, inspectModel, type Model, type TensorData, writeModel } from '@selvedge/graph/onnx';
import { openSession } from '@selvedge/graph/session';
import type { TestNetwork } from './models.ts';
import { preprocess } from './packages.ts';
import { drawPicture } from './pictures.ts';

const PICTURES = 12;
/** Where SiLU is nearly straight. Around 0 it doubles a contrast of 2 to more than 2, and deep layers explode or die. */
const MEAN = 2;
const DEVIATION = 0.7;
/** A channel that hardly changes is not blown up. */
const LEAST_DEVIATION = 1e-4;

interface Moments {
  mean: Float64Array;
  deviation: Float64Array;
}

async function momentsOf(model: Model, value: string, inputs: readonly { shape: number[]; data: Float32Array }[]): Promise<Moments> {
  const seen = { ...model, graph: { ...model.graph, outputs: [{ name: value, type: 'float32' as const, shape: null }] } };
  const session = await openSession(writeModel(seen), { threads: 2 });
  const name = session.inputs[0]?.name ?? '';
  let sums = new Float64Array();
  let squares = new Float64Array();
  let count = 0;
  for (const { shape, data } of inputs) {
    const output = (await session.run({ [name]: { type: 'float32', dims: [1, ...shape], data } }))[value];
    if (output === undefined || !(output.data instanceof Float32Array)) throw new Error(`${value} is not float32`);
    const channels = output.dims[1] ?? 1;
    const plane = output.data.length / channels;
    if (sums.length === 0) [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
    count += plane;
    for (const [at, x] of output.data.entries()) {
      const channel = Math.floor(at / plane);
      sums[channel] = (sums[channel] ?? 0) + x;
      squares[channel] = (squares[channel] ?? 0) + x * x;
    }
  }
  await session.close();
  const mean = sums.map((sum) => sum / count);
  const deviation = squares.map((sum, at) => Math.sqrt(Math.max(sum / count - (mean[at] ?? 0) ** 2, 0)));
  return { mean, deviation };
}

function floats(tensor: TensorData | undefined): Float32Array {
  if (tensor?.type !== 'float32') throw new Error('a convolution without float32 weights');
  return tensor.data;
}

/**
 * Scales and shifts every convolution so that each of its channels has the same mean and deviation over a few pictures, as
 * batch normalisation leaves them.
 *
 * @param lastBias - means of the layers with so many channels.
 * @param lastDeviation - their deviations.
 */
export async function normaliseLayers(
  network: TestNetwork,
  lastBias: readonly number[],
  lastDeviation: readonly number[],
): Promise<TestNetwork> {
  const [, , height = 1, width = 1] = inspectModel(network.model).inputs[0]?.shape.map((edge) => edge ?? 1) ?? [];
  const inputs = Array.from({ length: PICTURES }, (_, index) => preprocess(network, drawPicture(7000 + index, width, height)));
  const initializers = new Map(network.model.graph.initializers);
  const model: Model = { ...network.model, graph: { ...network.model.graph, initializers } };
  for (const node of model.graph.nodes) {
    if (node.op !== 'Conv') continue;
    const [, weightName = '', biasName = ''] = node.inputs;
    const { mean, deviation } = await momentsOf(model, node.outputs[0] ?? '', inputs);
    const isLast = mean.length === lastBias.length;
    const weights = floats(initializers.get(weightName)).slice();
    const bias = floats(initializers.get(biasName)).slice();
    const size = weights.length / mean.length;
    for (let channel = 0; channel < mean.length; channel++) {
      const scale = (isLast ? (lastDeviation[channel] ?? 1) : DEVIATION) / Math.max(deviation[channel] ?? 1, LEAST_DEVIATION);
      for (let at = channel * size; at < (channel + 1) * size; at++) weights[at] = (weights[at] ?? 0) * scale;
      bias[channel] = ((bias[channel] ?? 0) - (mean[channel] ?? 0)) * scale + (isLast ? (lastBias[channel] ?? 0) : MEAN);
    }
    initializers.set(weightName, float32Tensor([...(initializers.get(weightName)?.dims ?? [])], weights));
    initializers.set(biasName, float32Tensor([bias.length], bias));
  }
  return { ...network, model };
}
