// Grows the test networks node by node, with weights drawn from a seed.
import {
  attribute,
  createRandom,
  float32Tensor,
  IR_VERSION,
  int64Tensor,
  type Model,
  makeNode,
  type Node,
  OPSET,
  type TensorData,
} from '@selvedge/graph/onnx';

/** A value of the graph with its shape [1, C, H, W] or [1, N, M]. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface ConvOptions {
  filters: number;
  kernel?: number;
  stride?: number;
  groups?: number;
  /** Default: close to zero. */
  bias?: readonly number[];
}

export class Network {
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, TensorData>();
  readonly #random;
  #count = 0;
  #macs = 0;

  constructor(seed: number) {
    this.#random = createRandom(seed);
  }

  get macs(): number {
    return this.#macs;
  }

  constant(shape: readonly number[], data: Float32Array): string {
    const name = `w${++this.#count}`;
    this.#initializers.set(name, float32Tensor([...shape], data));
    return name;
  }

  node(op: string, inputs: readonly string[], shape: readonly number[], attributes: Parameters<typeof makeNode>[3] = {}): Value {
    const name = `${op.toLowerCase()}${++this.#count}`;
    this.#nodes.push(makeNode(op, inputs, [name], attributes));
    return { name, shape };
  }

  /** Convolution with "same" padding and He-initialised weights. */
  conv(x: Value, { filters, kernel = 1, stride = 1, groups = 1, bias: given }: ConvOptions): Value {
    const [, channels = 1, height = 1, width = 1] = x.shape;
    const fanIn = (channels / groups) * kernel * kernel;
    const weights = this.#normal([filters, channels / groups, kernel, kernel], Math.sqrt(2 / fanIn));
    const bias = given === undefined ? this.#normal([filters], 0.02) : this.constant([filters], Float32Array.from(given));
    const pad = Math.floor(kernel / 2);
    const edge = (size: number) => Math.floor((size + 2 * pad - kernel) / stride) + 1;
    const shape = [1, filters, edge(height), edge(width)];
    this.#macs += fanIn * filters * edge(height) * edge(width);
    return this.node('Conv', [x.name, weights, bias], shape, {
      kernel_shape: attribute.ints([kernel, kernel]),
      strides: attribute.ints([stride, stride]),
      pads: attribute.ints([pad, pad, pad, pad]),
      group: attribute.int(groups),
    });
  }

  relu(x: Value): Value {
    return this.node('Relu', [x.name], x.shape);
  }

  relu6(x: Value): Value {
    return this.node('Clip', [x.name, this.constant([], Float32Array.of(0)), this.constant([], Float32Array.of(6))], x.shape);
  }

  silu(x: Value): Value {
    return this.node('Mul', [x.name, this.node('Sigmoid', [x.name], x.shape).name], x.shape);
  }

  add(a: Value, b: Value): Value {
    return this.node('Add', [a.name, b.name], a.shape);
  }

  maxPool(x: Value, kernel: number, stride: number, pad: number): Value {
    const [, channels = 1, height = 1, width = 1] = x.shape;
    const edge = (size: number) => Math.floor((size + 2 * pad - kernel) / stride) + 1;
    return this.node('MaxPool', [x.name], [1, channels, edge(height), edge(width)], {
      kernel_shape: attribute.ints([kernel, kernel]),
      strides: attribute.ints([stride, stride]),
      pads: attribute.ints([pad, pad, pad, pad]),
    });
  }

  concat(values: readonly Value[], axis: number): Value {
    const shape = [...(values[0]?.shape ?? [])];
    shape[axis] = values.reduce((sum, value) => sum + (value.shape[axis] ?? 0), 0);
    return this.node(
      'Concat',
      values.map(({ name }) => name),
      shape,
      { axis: attribute.int(axis) },
    );
  }

  /** Nearest neighbour, twice as large. */
  upsample(x: Value): Value {
    const [, channels = 1, height = 1, width = 1] = x.shape;
    const scales = this.constant([4], Float32Array.of(1, 1, 2, 2));
    return this.node('Resize', [x.name, '', scales], [1, channels, height * 2, width * 2], {
      mode: attribute.string('nearest'),
      coordinate_transformation_mode: attribute.string('asymmetric'),
      nearest_mode: attribute.string('floor'),
    });
  }

  reshape(x: Value, shape: readonly number[]): Value {
    const name = `shape${++this.#count}`;
    this.#initializers.set(name, int64Tensor(shape));
    return this.node('Reshape', [x.name, name], shape);
  }

  slice(x: Value, axis: number, from: number, to: number): Value {
    const [start, end, axes] = [from, to, axis].map((value) => {
      const name = `slice${++this.#count}`;
      this.#initializers.set(name, int64Tensor([value]));
      return name;
    }) as [string, string, string];
    const shape = [...x.shape];
    shape[axis] = to - from;
    return this.node('Slice', [x.name, start, end, axes], shape);
  }

  dense(x: Value, units: number): Value {
    const inputs = x.shape.slice(1).reduce((product, edge) => product * edge, 1);
    const flat = x.shape.length === 2 ? x : this.node('Flatten', [x.name], [1, inputs], { axis: attribute.int(1) });
    const weights = this.#normal([units, inputs], Math.sqrt(1 / inputs));
    this.#macs += units * inputs;
    return this.node('Gemm', [flat.name, weights, this.#normal([units], 0.02)], [1, units], { transB: attribute.int(1) });
  }

  globalAveragePool(x: Value): Value {
    return this.node('GlobalAveragePool', [x.name], [1, x.shape[1] ?? 1, 1, 1]);
  }

  finish(name: string, input: Value, output: Value): Model {
    return {
      irVersion: IR_VERSION,
      producer: 'selvedge-bench',
      opsets: [{ domain: '', version: OPSET }],
      metadata: {},
      graph: {
        name,
        nodes: this.#nodes,
        initializers: this.#initializers,
        inputs: [{ name: input.name, type: 'float32', shape: [...input.shape] }],
        outputs: [{ name: output.name, type: 'float32', shape: [...output.shape] }],
      },
    };
  }

  #normal(shape: readonly number[], deviation: number): string {
    const count = shape.reduce((product, edge) => product * edge, 1);
    return this.constant(
      shape,
      Float32Array.from({ length: count }, () => this.#random.normal() * deviation),
    );
  }
}
