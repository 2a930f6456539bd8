import { type Attributes, attribute, type Model, makeNode, type Node, type TensorData } from '@selvedge/graph/onnx';
import { calibrate, quantiseModel } from '@selvedge/graph/quantise';
import { type ModelCase, modelOf, noise, scalar, spread } from './model-case.ts';

const { int, ints: list, string } = attribute;

/** Writes a network node by node, each with fresh names. */
class NetworkWriter {
  readonly nodes: Node[] = [];
  readonly constants: Record<string, TensorData> = {};
  private count = 0;

  add(op: string, operands: readonly (string | TensorData)[], attributes: Attributes = {}): string {
    const name = `v${this.count++}`;
    const names = operands.map((operand, i) => {
      if (typeof operand === 'string') return operand;
      this.constants[`${name}.${i}`] = operand;
      return `${name}.${i}`;
    });
    this.nodes.push(makeNode(op, names, [name], attributes));
    return name;
  }

  conv(x: string, from: number, to: number, options: { kernel?: number; stride?: number; groups?: number } = {}): string {
    const { kernel = 1, stride = 1, groups = 1 } = options;
    const weights = noise([to, from / groups, kernel, kernel], this.count, Math.sqrt(2 / ((from / groups) * kernel * kernel)));
    const pad = Math.floor(kernel / 2);
    const attributes = { strides: list([stride, stride]), pads: list([pad, pad, pad, pad]), group: int(groups) };
    const y = this.add('Conv', [x, weights], attributes);
    const norm = [spread([to], 0.8, 1.2), noise([to], this.count, 0.1), noise([to], this.count + 1, 0.1), spread([to], 0.8, 1.2, 1)];
    return this.add('BatchNormalization', [y, ...norm]);
  }

  model(shape: readonly number[], output: string): Model {
    this.nodes.push(makeNode('Identity', [output], ['y']));
    return modelOf({ inputs: { x: shape }, nodes: this.nodes, constants: this.constants });
  }
}

/** Inverted bottlenecks with depthwise convolutions, Relu6 and sums, as in MobileNetV2. */
function mobileNet(): Model {
  const net = new NetworkWriter();
  const relu6 = (x: string) => net.add('Clip', [x, scalar(0), scalar(6)]);
  const block = (x: string, from: number, to: number, stride: number): string => {
    const wide = relu6(net.conv(x, from, from * 4));
    const deep = relu6(net.conv(wide, from * 4, from * 4, { kernel: 3, stride, groups: from * 4 }));
    const y = net.conv(deep, from * 4, to);
    return stride === 1 && from === to ? net.add('Add', [x, y]) : y;
  };
  let y = relu6(net.conv('x', 3, 8, { kernel: 3, stride: 2 }));
  y = block(y, 8, 8, 1);
  y = block(y, 8, 16, 2);
  y = block(y, 16, 16, 1);
  y = net.add('Flatten', [net.add('GlobalAveragePool', [relu6(net.conv(y, 16, 32))])]);
  return net.model([1, 3, 32, 32], net.add('Gemm', [y, noise([10, 32], 1, 0.2), noise([10], 2, 0.1)], { transB: int(1) }));
}

/** SiLU, split and joined branches, pooled context, upsampling and two heads in one list of boxes, as in YOLO. */
function detector(): Model {
  const net = new NetworkWriter();
  const silu = (x: string) => net.add('Mul', [x, net.add('Sigmoid', [x])]);
  const conv = (...given: Parameters<NetworkWriter['conv']>) => silu(net.conv(...given));
  const pool = (x: string) => net.add('MaxPool', [x], { kernel_shape: list([5, 5]), pads: list([2, 2, 2, 2]) });
  const high = conv(conv('x', 3, 8, { kernel: 3, stride: 2 }), 8, 16, { kernel: 3, stride: 2 });
  const low = conv(high, 16, 16, { kernel: 3, stride: 2 });
  const once = pool(low);
  const context = conv(net.add('Concat', [low, once, pool(once)], { axis: int(1) }), 48, 16);
  const scales: TensorData = { type: 'float32', dims: [4], data: Float32Array.of(1, 1, 2, 2) };
  const up = net.add('Resize', [context, '', scales], {
    nearest_mode: string('floor'),
    coordinate_transformation_mode: string('asymmetric'),
  });
  const joined = conv(net.add('Concat', [up, high], { axis: int(1) }), 32, 16, { kernel: 3 });
  const head = (x: string) => net.add('Reshape', [net.conv(x, 16, 7), { type: 'int64', dims: [3], data: BigInt64Array.of(1n, 7n, -1n) }]);
  return net.model([1, 3, 32, 32], net.add('Concat', [head(joined), head(context)], { axis: int(2) }));
}

/** The network after training quantisation, with the two precisions that its results may differ by. */
async function int8(name: string, model: Model): Promise<ModelCase> {
  const batches = Array.from({ length: 8 }, (_, i) => ({ x: noise([1, 3, 32, 32], i + 1, 1) }));
  const { model: quantised } = quantiseModel(model, await calibrate(model, batches, { method: 'minmax' }));
  // One step more or less early in a network moves values behind it by a few.
  return { name: `${name} in int8`, model: quantised, tolerance: 0.08 };
}

/** Networks of the kinds that packages are made of, in float32 and as our quantiser writes them. */
export const NETWORK_CASES: readonly ModelCase[] = [
  { name: 'MobileNet', model: mobileNet() },
  { name: 'detector', model: detector() },
  { name: 'MobileNet in half precision', model: mobileNet(), precision: 'fp16', tolerance: 0.02 },
  { name: 'detector in half precision', model: detector(), precision: 'fp16', tolerance: 0.02 },
  await int8('MobileNet', mobileNet()),
  await int8('detector', detector()),
];
