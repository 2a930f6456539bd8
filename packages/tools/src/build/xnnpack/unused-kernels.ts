import type { BinaryOperator, IrGraph, IrOp, UnaryOperator } from '@selvedge/graph/lower';

/**
 * XNNPACK looks its kernels up with one function per number format and operator, `xnn_init_<name>_config`, and asks for every
 * format wherever an operator could have it. The linker therefore keeps the kernels of all formats, unless the functions
 * that a model never needs are replaced. The names below are those of the XNNPACK version that targets are built with; one
 * that does not exist does no harm, one that is missing costs size alone.
 */
const names = (prefix: string, kinds: string): string[] => kinds.split(' ').map((kind) => prefix + kind);

/** Formats that generated code never uses: unsigned, dynamically quantised, 4-bit; and operators in channel-first order. */
const NEVER: readonly string[] = [
  ...names('qu8_', 'avgpool cvt dwconv gemm lrelu rdsum rsum to_f32_cvt vadd vmul'),
  ...names('u8_', 'clamp ibilinear lut32norm maxpool rmax'),
  ...names('qd8_f16_', 'qb4w_gemm qc4w_gemm qc8w_gemm'),
  ...names('qd8_f32_', 'qb4w_gemm qc4w_gemm qc8w_gemm'),
  ...names('qp8_f32_', 'qb4w_gemm qc4w_gemm'),
  ...names('f32_', 'argmaxpool cmul conv_hwc2chw_3x3c3s2 dwconv2d_chw ibilinear_chw qc4w_gemm qc8w_gemm rminmax rndz spmm spmm2 spmm4'),
  ...names('f32_', 'to_qu8_cvt vcopysign vsqrdiff'),
  ...names('', 'pf32_gemm qs16_to_qs8_cvt u32_to_f32_cvt x32_pack_lh x32_unpool x32_zip x8_zip'),
];

const HALF: readonly string[] = [
  ...names('f16_', 'abs avgpool clamp cmul conv_hwc2chw_3x3c3s2 dwconv2d_chw dwconv elu f32acc_rdsum f32acc_rsum gemm hswish'),
  ...names('f16_', 'ibilinear_chw ibilinear lrelu maxpool neg pavgpool raddstoreexpminusmax relu rmax rminmax rndd rndne rndu rndz'),
  ...names('f16_', 'rsqrt sigmoid spmm sqr sqrt tanh to_f32_cvt to_qs8_cvt vadd vdiv vmax vmin vmul vmulcaddc vprelu vsqrdiff vsub'),
  ...names('', 'f32_to_f16_cvt qs8_to_f16_cvt'),
];

const INT8: readonly string[] = [
  ...names('qs8_', 'cvt dwconv lrelu qc8w_dwconv qc8w_gemm rdsum rsum to_f32_cvt vadd vmul'),
  ...names('s8_', 'clamp ibilinear maxpool'),
  ...names('', 'f32_to_qs8_cvt s32_to_f32_cvt x8_lut'),
];

const FLOAT_PRODUCTS: readonly string[] = names('f32_', 'dwconv gemm gemm_nr2 vmulcaddc');

/** XNNPACK clips and converts where nobody asked for it, so that these two stay. */
const FLOAT_UNARY: readonly (readonly [UnaryOperator, string])[] = [
  ['abs', 'f32_abs'],
  ['ceiling', 'f32_rndu'],
  ['elu', 'f32_elu'],
  ['exp', 'f32_exp'],
  ['floor', 'f32_rndd'],
  ['gelu', 'f32_gelu'],
  ['hardSwish', 'f32_hswish'],
  ['leakyRelu', 'f32_lrelu'],
  ['log', 'f32_log'],
  ['negate', 'f32_neg'],
  ['reciprocalSquareRoot', 'f32_rsqrt'],
  ['roundToEven', 'f32_rndne'],
  ['sigmoid', 'f32_sigmoid'],
  ['square', 'f32_sqr'],
  ['squareRoot', 'f32_sqrt'],
  ['tanh', 'f32_tanh'],
];

/** Products serve Softmax too, so they stay. */
const FLOAT_BINARY: readonly (readonly [BinaryOperator, string])[] = [
  ['add', 'f32_vadd'],
  ['divide', 'f32_vdiv'],
  ['maximum', 'f32_vmax'],
  ['minimum', 'f32_vmin'],
  ['prelu', 'f32_vprelu'],
  ['subtract', 'f32_vsub'],
];

/** Every target has kernels of its own for these, so that the slow ones for any operator are not needed. */
const OWN_KERNELS: ReadonlySet<UnaryOperator> = new Set(['clamp', 'convert', 'hardSwish', 'leakyRelu', 'sigmoid']);
const OWN_INT8_KERNELS: ReadonlySet<UnaryOperator> = new Set(['clamp', 'convert', 'leakyRelu']);

/** Whether the operation computes in int8. */
function isInt8(graph: IrGraph, op: IrOp): boolean {
  return graph.values[op.y]?.type === 'qint8';
}

function unusedFunctions(graph: IrGraph): string[] {
  const float = graph.ops.filter((op) => !isInt8(graph, op));
  const unary = new Set(float.flatMap((op) => (op.op === 'unary' ? [op.operator] : [])));
  const binary = new Set(float.flatMap((op) => (op.op === 'binary' ? [op.operator] : [])));
  const products = float.some((op) => ['conv2d', 'depthwise2d', 'deconv2d', 'fullyConnected', 'matMul'].includes(op.op));
  const unaryReference = graph.ops.some(
    (op) => op.op === 'unary' && !(isInt8(graph, op) ? OWN_INT8_KERNELS : OWN_KERNELS).has(op.operator),
  );
  const binaryReference = graph.ops.some((op) => op.op === 'binary' && !['add', 'multiply', 'subtract'].includes(op.operator));
  return [
    ...FLOAT_UNARY.flatMap(([operator, name]) => (unary.has(operator) ? [] : [name])),
    ...FLOAT_BINARY.flatMap(([operator, name]) => (binary.has(operator) ? [] : [name])),
    ...(products ? [] : FLOAT_PRODUCTS),
    ...(unaryReference ? [] : ['unary_reference']),
    ...(binaryReference ? [] : ['binary_reference']),
  ];
}

/**
 * Flags for the linker that leave out the kernels which the graph cannot need: roughly 0.9 MB of an amd64 executable.
 * The function that takes their place is in native/runtime/engine/xnnpack/no_kernel.cc.
 */
export function unusedKernelFlags(graph: IrGraph, precision: 'fp32' | 'fp16'): string[] {
  const int8 = graph.values.some((value) => value.type === 'qint8');
  // Half precision takes the place of float32 anywhere in the graph: only what is of neither goes.
  const half = precision === 'fp16';
  const unused = [...NEVER, ...(half ? [] : [...HALF, ...unusedFunctions(graph)]), ...(int8 ? [] : INT8)];
  return unused.sort().map((name) => `-Wl,--defsym=xnn_init_${name}_config=selvedgeNoKernel`);
}
