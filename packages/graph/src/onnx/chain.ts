import { AppError, type Layer } from '@selvedge/contract';
import { type Attributes, attribute, makeNode, type Node, type TensorData } from './model.ts';
import { createRandom, type Random } from './random.ts';
import { elementCount, float32Tensor } from './tensor.ts';

const LEAKY_RELU_ALPHA = 0.01;
const BATCHNORM_EPSILON = 1e-5;
/** Share of the old running statistics that one step keeps. */
const BATCHNORM_MOMENTUM = 0.9;
const MAX_PARAMETERS = 500_000_000;

export interface ChainSpec {
  /** [channels, height, width] of the value "input", or [features] of a row. */
  readonly inputShape: readonly [number, number, number] | readonly [number];
  /** Units of the layer `classifier`. */
  readonly classes: number;
  /** Seeds the weights; 0..2^32-1. */
  readonly seed: number;
}

/** A value of the network that further layers can begin at. */
export interface ChainValue {
  readonly name: string;
  /** Without the batch. */
  readonly shape: readonly number[];
}

/** Grows a network layer by layer; `shape` is that of the value made last, without the batch. */
export class Chain {
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, TensorData>();
  shape: number[];
  private last = 'input';
  private readonly random: Random;
  private readonly classes: number;
  private readonly counts = new Map<string, number>();

  constructor(spec: ChainSpec) {
    this.shape = [...spec.inputShape];
    this.classes = spec.classes;
    this.random = createRandom(spec.seed);
  }

  /** Subtracts `mean` and divides by `deviation`, one of each per feature; both are constants of the graph and not its weights. */
  standardise(mean: Float32Array, deviation: Float32Array): void {
    if (this.shape.length !== 1 || mean.length !== this.shape[0] || deviation.length !== mean.length)
      this.fail(`${mean.length} means and ${deviation.length} deviations for [${this.shape.join(', ')}] features`);
    this.node('Sub', [this.constant('mean', mean)]);
    this.node('Div', [this.constant('deviation', deviation)]);
  }

  private constant(kind: string, values: Float32Array): string {
    const name = `${kind}${this.nextNumber(kind)}`;
    this.nodes.push(makeNode('Constant', [], [name], { value: attribute.tensor(float32Tensor([values.length], values)) }, name));
    return name;
  }

  /** Adds layers one after the other; a convolution before a `batchnorm` has no bias, which would be taken out again. */
  addAll(layers: readonly Layer[]): void {
    for (const [i, layer] of layers.entries()) this.add(layer, layers[i + 1] !== 'batchnorm');
  }

  add(layer: Layer, biased = true): void {
    if (typeof layer === 'string') this.addPlain(layer);
    else if ('conv' in layer) this.addConv('conv', layer.conv, biased);
    else if ('depthwise' in layer) this.addDepthwise(layer.depthwise, biased);
    else if ('maxpool' in layer) this.addPool('MaxPool', layer.maxpool);
    else if ('averagepool' in layer) this.addPool('AveragePool', layer.averagepool);
    else if ('dropout' in layer) this.node('Dropout', [this.store('ratio', [], Float32Array.of(layer.dropout))]);
    else this.addDense(layer.dense, 2);
  }

  /** The value made last. */
  get value(): ChainValue {
    return { name: this.last, shape: this.shape };
  }

  /** The next layer follows this value. */
  continueAt(value: ChainValue): void {
    this.last = value.name;
    this.shape = [...value.shape];
  }

  /** Calls the last value `name`. */
  finish(name: string): void {
    const node = this.nodes.at(-1);
    if (node) this.nodes[this.nodes.length - 1] = { ...node, outputs: [name] };
    this.last = name;
  }

  /** Adds an operator on the last value; the shape of its result is given where it differs. */
  node(op: string, inputs: readonly string[] = [], attributes: Attributes = {}, shape?: readonly number[]): void {
    const name = `${op.toLowerCase()}${this.nextNumber(op)}`;
    this.nodes.push(makeNode(op, [this.last, ...inputs], [name], attributes, name));
    this.last = name;
    if (shape) this.shape = [...shape];
  }

  /** Keeps a tensor under a name made of `kind` and a number. */
  keep(kind: string, tensor: TensorData): string {
    const name = `${kind}${this.nextNumber(kind)}`;
    this.initializers.set(name, tensor);
    return name;
  }

  private addPlain(layer: Extract<Layer, string>): void {
    switch (layer) {
      case 'relu':
        this.node('Relu');
        break;
      case 'relu6':
        this.node('Clip', [this.store('min', [], Float32Array.of(0)), this.store('max', [], Float32Array.of(6))]);
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
        if (this.shape.length > 1) this.addFlatten();
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

  private addDepthwise(layer: Extract<Layer, { depthwise: unknown }>['depthwise'], biased: boolean): void {
    this.requirePicture('depthwise');
    const [channels = 0] = this.shape;
    this.addConv('depthwise', { ...layer, filters: channels, groups: channels }, biased);
  }

  private addConv(layer: string, conv: Extract<Layer, { conv: unknown }>['conv'], biased: boolean): void {
    this.requirePicture(layer);
    const { filters, kernel, stride = 1, groups = 1 } = conv;
    const pad = conv.pad ?? Math.floor((kernel - 1) / 2);
    const [channels = 0, height = 0, width = 0] = this.shape;
    if (channels % groups !== 0 || filters % groups !== 0)
      this.fail(`${layer}: ${channels} channels and ${filters} filters do not divide into ${groups} groups`);
    const dims = [filters, channels / groups, kernel, kernel];
    const weights = this.weights('W', dims, elementCount(dims.slice(1)), 2);
    const inputs = biased ? [weights, this.zeros('B', filters)] : [weights];
    this.node('Conv', inputs, {
      kernel_shape: attribute.ints([kernel, kernel]),
      strides: attribute.ints([stride, stride]),
      pads: attribute.ints([pad, pad, pad, pad]),
      group: attribute.int(groups),
    });
    const slide = (size: number): number => Math.floor((size + 2 * pad - kernel) / stride) + 1;
    this.resize(layer, filters, slide(height), slide(width));
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

  private nextNumber(kind: string): number {
    const number = (this.counts.get(kind) ?? 0) + 1;
    this.counts.set(kind, number);
    return number;
  }

  private store(kind: string, dims: readonly number[], data: Float32Array): string {
    return this.keep(kind, float32Tensor(dims, data));
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
