import { AppError, type Layer } from '@selvedge/contract';
import { inferShapes } from './infer-shapes.ts';
import { type Attributes, attribute, type Model, makeNode, type Node, type TensorData } from './model.ts';
import { NETWORK_PRESETS, type NetworkPreset } from './presets.ts';
import { createRandom, type Random } from './random.ts';
import { elementCount, float32Tensor } from './tensor.ts';

export interface NetworkSpec {
  /** A preset or the layers, first to last. */
  readonly layers: readonly Layer[] | NetworkPreset;
  /** [channels, height, width] of one picture. */
  readonly inputShape: readonly [number, number, number];
  /** Units of the last layer. */
  readonly classes: number;
  /** Seeds the weights; 0..2^32-1. */
  readonly seed: number;
}

/** The operator set that networks made here, and training graphs, are written for. */
export const OPSET = 17;
export const IR_VERSION = 8;

const LEAKY_RELU_ALPHA = 0.01;
const BATCHNORM_EPSILON = 1e-5;
/** Share of the old running statistics that one step keeps. */
const BATCHNORM_MOMENTUM = 0.9;
const MAX_PARAMETERS = 500_000_000;

/** Grows a chain of nodes; `shape` is that of the value made last, without the batch. */
class Chain {
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, TensorData>();
  shape: number[];
  private last = 'input';
  private readonly random: Random;
  private readonly classes: number;
  private readonly counts = new Map<string, number>();

  constructor(spec: NetworkSpec) {
    this.shape = [...spec.inputShape];
    this.classes = spec.classes;
    this.random = createRandom(spec.seed);
  }

  add(layer: Layer): void {
    if (typeof layer === 'string') this.addPlain(layer);
    else if ('conv' in layer) this.addConv(layer.conv);
    else if ('maxpool' in layer) this.addPool('MaxPool', layer.maxpool);
    else if ('averagepool' in layer) this.addPool('AveragePool', layer.averagepool);
    else if ('dropout' in layer) this.node('Dropout', [this.store('ratio', [], Float32Array.of(layer.dropout))]);
    else this.addDense(layer.dense, 2);
  }

  /** Calls the last value "logits". */
  finish(): void {
    const node = this.nodes.at(-1);
    if (node) this.nodes[this.nodes.length - 1] = { ...node, outputs: ['logits'] };
  }

  private addPlain(layer: Extract<Layer, string>): void {
    switch (layer) {
      case 'relu':
        this.node('Relu');
        break;
      case 'leakyrelu':
        this.node('LeakyRelu', [], { alpha: attribute.float(LEAKY_RELU_ALPHA) });
        break;
      case 'sigmoid':
        this.node('Sigmoid');
        break;
      case 'batchnorm':
        this.addBatchNorm();
        break;
      case 'flatten':
        this.addFlatten();
        break;
      case 'globalaveragepool':
        this.requirePicture(layer);
        this.node('GlobalAveragePool');
        this.shape = [this.shape[0] ?? 0, 1, 1];
        break;
      case 'classifier':
        // No relu follows, so half the variance of He's rule keeps the first logits small.
        this.addDense(this.classes, 1);
        break;
    }
  }

  private addConv(conv: Extract<Layer, { conv: unknown }>['conv']): void {
    this.requirePicture('conv');
    const { filters, kernel, stride = 1, groups = 1 } = conv;
    const pad = conv.pad ?? Math.floor((kernel - 1) / 2);
    const [channels = 0, height = 0, width = 0] = this.shape;
    if (channels % groups !== 0 || filters % groups !== 0)
      this.fail(`conv: ${channels} channels and ${filters} filters do not divide into ${groups} groups`);
    const dims = [filters, channels / groups, kernel, kernel];
    const inputs = [this.weights('W', dims, elementCount(dims.slice(1)), 2), this.zeros('B', filters)];
    this.node('Conv', inputs, {
      kernel_shape: attribute.ints([kernel, kernel]),
      strides: attribute.ints([stride, stride]),
      pads: attribute.ints([pad, pad, pad, pad]),
      group: attribute.int(groups),
    });
    const slide = (size: number): number => Math.floor((size + 2 * pad - kernel) / stride) + 1;
    this.resize('conv', filters, slide(height), slide(width));
  }

  private addPool(op: 'MaxPool' | 'AveragePool', kernel: number): void {
    this.requirePicture(op);
    const [channels = 0, height = 0, width = 0] = this.shape;
    this.node(op, [], { kernel_shape: attribute.ints([kernel, kernel]), strides: attribute.ints([kernel, kernel]) });
    this.resize(op, channels, Math.floor(height / kernel), Math.floor(width / kernel));
  }

  private addBatchNorm(): void {
    const channels = this.shape[0] ?? 0;
    const ones = () => new Float32Array(channels).fill(1);
    const inputs = [
      this.store('scale', [channels], ones()),
      this.zeros('bias', channels),
      this.zeros('mean', channels),
      this.store('var', [channels], ones()),
    ];
    this.node('BatchNormalization', inputs, { epsilon: attribute.float(BATCHNORM_EPSILON), momentum: attribute.float(BATCHNORM_MOMENTUM) });
  }

  private addFlatten(): void {
    this.node('Flatten', [], { axis: attribute.int(1) });
    this.shape = [elementCount(this.shape)];
  }

  private addDense(units: number, gain: number): void {
    if (this.shape.length > 1) this.addFlatten();
    const [features = 0] = this.shape;
    this.node('Gemm', [this.weights('W', [features, units], features, gain), this.zeros('B', units)]);
    this.shape = [units];
  }

  private node(op: string, inputs: readonly string[] = [], attributes: Attributes = {}): void {
    const name = `${op.toLowerCase()}${this.nextNumber(op)}`;
    this.nodes.push(makeNode(op, [this.last, ...inputs], [name], attributes, name));
    this.last = name;
  }

  private nextNumber(kind: string): number {
    const number = (this.counts.get(kind) ?? 0) + 1;
    this.counts.set(kind, number);
    return number;
  }

  private store(kind: string, dims: readonly number[], data: Float32Array): string {
    const name = `${kind}${this.nextNumber(kind)}`;
    this.initializers.set(name, float32Tensor(dims, data));
    return name;
  }

  private zeros(kind: string, length: number): string {
    return this.store(kind, [length], new Float32Array(length));
  }

  /** Normal values with variance gain / fanIn (He et al. 2015 for gain 2). */
  private weights(kind: string, dims: readonly number[], fanIn: number, gain: number): string {
    const count = elementCount(dims);
    if (count > MAX_PARAMETERS) this.fail(`a layer would have ${count} weights`);
    const deviation = Math.sqrt(gain / fanIn);
    return this.store(
      kind,
      dims,
      Float32Array.from({ length: count }, () => deviation * this.random.normal()),
    );
  }

  private resize(layer: string, channels: number, height: number, width: number): void {
    if (height < 1 || width < 1) this.fail(`${layer}: its window does not fit into ${this.shape.join('x')}`);
    this.shape = [channels, height, width];
  }

  private requirePicture(layer: string): void {
    if (this.shape.length !== 3) this.fail(`${layer} needs [C, H, W] but the layer before gives [${this.shape.join(', ')}]`);
  }

  private fail(why: string): never {
    throw new AppError('SHAPE_MISMATCH', {
      message: `The network cannot be built: ${why}.`,
      hint: 'Change the layers or the size of the pictures.',
    });
  }
}

/**
 * Builds an untrained network: He-initialised weights, opset 17, input "input" [N, C, H, W] float32 with an open batch,
 * output "logits" [N, classes]. The same spec gives the same bytes.
 *
 * `flatten` before `dense` may be left out. The last layer must give one value per class; `classifier` does.
 *
 * @throws AppError SHAPE_MISMATCH when the layers do not fit each other or the picture.
 */
export function buildNetwork(spec: NetworkSpec): Model {
  const layers = typeof spec.layers === 'string' ? NETWORK_PRESETS[spec.layers] : spec.layers;
  const chain = new Chain(spec);
  for (const layer of layers) chain.add(layer);
  if (chain.shape.length !== 1 && elementCount(chain.shape) === spec.classes) chain.add('flatten');
  if (chain.shape.length !== 1 || chain.shape[0] !== spec.classes) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `The network ends with [${chain.shape.join(', ')}] values per picture, but there are ${spec.classes} classes.`,
      hint: 'End the list of layers with "classifier".',
    });
  }
  chain.finish();
  const model: Model = {
    irVersion: IR_VERSION,
    producer: 'selvedge',
    opsets: [{ domain: '', version: OPSET }],
    graph: {
      name: typeof spec.layers === 'string' ? spec.layers : 'network',
      nodes: chain.nodes,
      initializers: chain.initializers,
      inputs: [{ name: 'input', type: 'float32', shape: ['N', ...spec.inputShape] }],
      outputs: [{ name: 'logits', type: 'float32', shape: ['N', spec.classes] }],
    },
    metadata: {},
  };
  inferShapes(model);
  return model;
}
