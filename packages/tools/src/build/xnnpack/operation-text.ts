import type { BinaryOperator, Bounds, IrOp, UnaryOperator, Window2d } from '@selvedge/graph/lower';

const UNARY: Readonly<Record<UnaryOperator, string>> = {
  abs: 'abs',
  ceiling: 'ceiling',
  clamp: 'clamp',
  convert: 'convert',
  elu: 'elu',
  exp: 'exp',
  floor: 'floor',
  gelu: 'gelu',
  hardSwish: 'hardswish',
  leakyRelu: 'leaky_relu',
  log: 'log',
  negate: 'negate',
  reciprocalSquareRoot: 'reciprocal_square_root',
  roundToEven: 'bankers_rounding',
  sigmoid: 'sigmoid',
  square: 'square',
  squareRoot: 'square_root',
  tanh: 'tanh',
};

const BINARY: Readonly<Record<BinaryOperator, string>> = {
  add: 'add',
  divide: 'divide',
  maximum: 'maximum',
  minimum: 'minimum',
  multiply: 'multiply',
  power: 'pow',
  prelu: 'prelu',
  subtract: 'subtract',
};

/** A number as a C++ float literal with all its digits. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return value < 0 ? '-kInf' : 'kInf';
  const text = Object.is(value, -0) ? '-0' : String(Math.fround(value));
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

const boundsText = ({ min, max }: Bounds): string => `${floatText(min)}, ${floatText(max)}`;
const windowText = ({ kernel, strides, dilations }: Window2d): string => [...kernel, ...strides, ...dilations].join(', ');
const sizes = (values: readonly number[]): string => `Sizes{${values.join(', ')}}.data`;

function unaryText(op: IrOp & { op: 'unary' }): string {
  const [first = 0, second = 0] = op.params;
  const operator = `xnn_unary_${UNARY[op.operator]}`;
  if (op.params.length === 0) return `xnn_define_unary(g, ${operator}, nullptr, ${op.x}, ${op.y}, 0)`;
  if (op.operator === 'clamp') return `clamp(g, ${floatText(first)}, ${floatText(second)}, ${op.x}, ${op.y})`;
  return `unaryWith(g, ${operator}, ${floatText(first)}, ${op.x}, ${op.y})`;
}

const RESIZE_FLAGS = { halfPixel: '0', alignCorners: 'XNN_FLAG_ALIGN_CORNERS', asymmetric: 'XNN_FLAG_TENSORFLOW_LEGACY_MODE' } as const;

function convolutionText(op: IrOp & { op: 'conv2d' | 'deconv2d' | 'depthwise2d' }): string {
  const pads = op.window.pads.join(', ');
  const tail = `${boundsText(op.bounds)}, ${op.x}, ${op.weights}, ${op.bias}, ${op.y}, 0)`;
  const window = windowText(op.window);
  if (op.op === 'depthwise2d') return `xnn_define_depthwise_convolution_2d(g, ${pads}, ${window}, ${op.multiplier}, ${op.inputs}, ${tail}`;
  const groups = `${op.groups}, ${op.groupInputs}, ${op.groupOutputs}`;
  if (op.op === 'conv2d') return `xnn_define_convolution_2d(g, ${pads}, ${window}, ${groups}, ${tail}`;
  return `xnn_define_deconvolution_2d(g, ${pads}, ${op.adjustment.join(', ')}, ${window}, ${groups}, ${tail}`;
}

function poolText(op: IrOp & { op: 'maxPool2d' | 'averagePool2d' }): string {
  const { kernel, strides, pads } = op.window;
  const tail = `${boundsText(op.bounds)}, ${op.x}, ${op.y}, 0)`;
  if (op.op === 'maxPool2d') return `xnn_define_max_pooling_2d(g, ${pads.join(', ')}, ${windowText(op.window)}, ${tail}`;
  return `xnn_define_average_pooling_2d(g, ${pads.join(', ')}, ${[...kernel, ...strides].join(', ')}, ${tail}`;
}

function binaryText(op: IrOp & { op: 'binary' }): string {
  const operator = `xnn_binary_${BINARY[op.operator]}`;
  if (op.bounds.min === -Infinity && op.bounds.max === Infinity)
    return `xnn_define_binary(g, ${operator}, nullptr, ${op.a}, ${op.b}, ${op.y}, 0)`;
  return `binaryWithin(g, ${operator}, ${boundsText(op.bounds)}, ${op.a}, ${op.b}, ${op.y})`;
}

/** The call that adds the operation to the subgraph `g`. */
export function operationText(op: IrOp): string {
  switch (op.op) {
    case 'conv2d':
    case 'deconv2d':
    case 'depthwise2d':
      return convolutionText(op);
    case 'fullyConnected':
      return `xnn_define_fully_connected(g, ${boundsText(op.bounds)}, ${op.x}, ${op.weights}, ${op.bias}, ${op.y}, 0)`;
    case 'matMul':
      return `xnn_define_batch_matrix_multiply(g, ${op.a}, ${op.b}, ${op.y}, ${op.transposeB ? 'XNN_FLAG_TRANSPOSE_B' : '0'})`;
    case 'maxPool2d':
    case 'averagePool2d':
      return poolText(op);
    case 'unary':
      return unaryText(op);
    case 'binary':
      return binaryText(op);
    case 'softmax':
      return `xnn_define_softmax(g, ${op.x}, ${op.y}, 0)`;
    case 'reduce':
      return `xnn_define_static_reduce(g, xnn_reduce_${op.operator}, ${op.axes.length}, ${sizes(op.axes)}, ${op.x}, ${op.y}, XNN_FLAG_KEEP_DIMS)`;
    case 'concat':
      return `xnn_define_concatenate${op.xs.length}(g, ${op.axis}, ${op.xs.join(', ')}, ${op.y}, 0)`;
    case 'slice':
      return `xnn_define_static_slice(g, ${op.sizes.length}, ${sizes(op.offsets)}, ${sizes(op.sizes)}, ${op.x}, ${op.y}, 0)`;
    case 'pad':
      return `xnn_define_static_constant_pad(g, ${sizes(op.before)}, ${sizes(op.after)}, ${floatText(op.value)}, ${op.x}, ${op.y}, 0)`;
    case 'reshape':
      return `xnn_define_static_reshape(g, ${op.dims.length}, ${sizes(op.dims)}, ${op.x}, ${op.y}, 0)`;
    case 'transpose':
      return `xnn_define_static_transpose(g, ${op.perm.length}, ${sizes(op.perm)}, ${op.x}, ${op.y}, 0)`;
    case 'resizeBilinear':
      return `xnn_define_static_resize_bilinear_2d(g, ${op.height}, ${op.width}, ${op.x}, ${op.y}, ${RESIZE_FLAGS[op.mode]})`;
    case 'copy':
      return `xnn_define_copy(g, ${op.x}, ${op.y}, 0)`;
  }
}
