import type { IrGraph, UnaryOperator } from '@selvedge/graph/lower';

/** XNNPACK's functions `xnn_init_<name>_config` that give kernels for whole data types, by the start of their names. */
const HALF = ['f16_', 'f32_to_f16_cvt'];
const SIGNED_8 = ['qs8_', 's8_', 'f32_to_qs8_cvt', 'x8_lut'];
/** Types that no lowered graph has. */
const NEVER = [
  'qu8_',
  'u8_',
  'qd8_',
  'qp8_',
  'pf32_',
  's32_',
  'x8_zip',
  'f32_to_qu8_cvt',
  'f32_to_qp8_cvt',
  'f32_qc4w_gemm',
  'f32_qc8w_gemm',
];

/** Every such function of the XNNPACK that targets are built with, but those that any model may need. */
const CONFIGS = `
f16_abs f16_avgpool f16_clamp f16_cmul f16_conv_hwc2chw_3x3c3s2 f16_dwconv2d_chw f16_dwconv f16_elu f16_f32acc_rdsum
f16_f32acc_rsum f16_gemm f16_hswish f16_ibilinear_chw f16_ibilinear f16_lrelu f16_maxpool f16_neg f16_pavgpool
f16_raddstoreexpminusmax f16_rmax f16_rminmax f16_rndd f16_rndne f16_rndu f16_rndz f16_rsqrt f16_sigmoid f16_spmm f16_sqr
f16_sqrt f16_tanh f16_to_f32_cvt f16_to_qs8_cvt f16_vadd f16_vdiv f16_vmax f16_vmin f16_vmul f16_vmulcaddc f16_vprelu
f16_vsqrdiff f16_vsub f32_abs f32_elu f32_exp f32_gelu f32_hswish f32_log f32_lrelu f32_neg f32_qc4w_gemm f32_qc8w_gemm
f32_rndd f32_rndne f32_rndu f32_rndz f32_rsqrt f32_sigmoid f32_sqr f32_sqrt f32_tanh f32_to_f16_cvt f32_to_qp8_cvt
f32_to_qs8_cvt f32_to_qu8_cvt pf32_gemm qd8_f16_qb4w_gemm qd8_f16_qc4w_gemm qd8_f16_qc8w_gemm qd8_f32_qb4w_gemm
qd8_f32_qc4w_gemm qd8_f32_qc8w_gemm qp8_f32_qb4w_gemm qp8_f32_qc4w_gemm qs8_cvt qs8_dwconv qs8_lrelu qs8_qc8w_dwconv
qs8_qc8w_gemm qs8_rdsum qs8_rsum qs8_to_f16_cvt qs8_to_f32_cvt qs8_vadd qs8_vmul qu8_avgpool qu8_cvt qu8_dwconv qu8_gemm
qu8_lrelu qu8_rdsum qu8_rsum qu8_to_f32_cvt qu8_vadd qu8_vmul s32_to_f32_cvt s8_clamp s8_ibilinear s8_maxpool u8_clamp
u8_ibilinear u8_lut32norm u8_maxpool u8_rmax unary_reference x8_lut x8_zip`
  .trim()
  .split(/\s+/);

/** XNNPACK's name of a unary operator, where it has kernels of its own. */
const UNARY: Readonly<Partial<Record<UnaryOperator, string>>> = {
  abs: 'abs',
  ceiling: 'rndu',
  elu: 'elu',
  exp: 'exp',
  floor: 'rndd',
  gelu: 'gelu',
  hardSwish: 'hswish',
  leakyRelu: 'lrelu',
  log: 'log',
  negate: 'neg',
  reciprocalSquareRoot: 'rsqrt',
  roundToEven: 'rndne',
  sigmoid: 'sigmoid',
  square: 'sqr',
  squareRoot: 'sqrt',
  tanh: 'tanh',
};
const UNARY_NAMES = new Set([...Object.values(UNARY), 'rndz']);

/**
 * Kernels that the executable of a model can do without, as `xnn_init_<name>_config` names them: those of data types that it
 * does not have, and of unary operators that it does not use.
 */
export function unusedKernels(graph: IrGraph, precision: 'fp32' | 'fp16' | 'int8'): string[] {
  const hasInt8 = graph.values.some((value) => value.type !== 'float32');
  const operators = new Set(graph.ops.flatMap((op) => (op.op === 'unary' ? [op.operator] : [])));
  const used = new Set([...operators].map((operator) => UNARY[operator]));
  const dropped = [...NEVER, ...(precision === 'fp16' ? [] : HALF), ...(hasInt8 ? [] : SIGNED_8)];
  return CONFIGS.filter((name) => {
    if (name === 'unary_reference') return operators.size === 0;
    if (dropped.some((start) => name.startsWith(start))) return true;
    const match = /^f(?:16|32)_([a-z]+)$/.exec(name);
    return match?.[1] !== undefined && UNARY_NAMES.has(match[1]) && !used.has(match[1]);
  });
}

/** Makes the linker take native/runtime/engine/xnnpack/no_config.cc in their place, which lets it drop the kernels. */
export function unusedKernelFlags(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const symbol = `xnn_init_${name}_config`;
    return [`-Wl,--wrap=${symbol}`, `-Wl,--defsym=__wrap_${symbol}=selvedgeNoConfig`];
  });
}
