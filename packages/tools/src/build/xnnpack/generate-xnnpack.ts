import type { IrGraph, IrPort, IrValue } from '@selvedge/graph/lower';
import { operationText } from './operation-text.ts';
import { structureDigest } from './structure-digest.ts';
import { unusedKernelFlags } from './unused-kernels.ts';
import { type ValueOffsets, weightsChunks, weightsLayout } from './weights-file.ts';

export interface XnnpackOptions {
  /** `fp16` computes in half precision on cores that can; elsewhere it is fp32. Default `fp32`. int8 is in the graph itself. */
  readonly precision?: 'fp32' | 'fp16';
  /** Name of the constant that describes the model, in namespace selvedge::xnnpack. Default `kModel`, which the engine opens. */
  readonly symbol?: string;
}

export interface XnnpackCode {
  /** One C++17 file to be compiled with native/runtime on the include path. */
  readonly source: string;
  /** The weights file, in pieces that share memory with the graph. */
  readonly weights: readonly Uint8Array[];
  readonly weightsBytes: number;
  /** For the linker: leaves out the kernels that the model cannot need. Of use where this model is the only one. */
  readonly linkerFlags: readonly string[];
  /** SHA-256 of the structure, in hex: weights files and executables with the same one belong together. */
  readonly digest: string;
}

/** A C++ string literal. Other than printable ASCII is written in octal, which ends after three digits. */
export function stringLiteral(text: string): string {
  const bytes = [...new TextEncoder().encode(text)];
  const letters = bytes.map((byte) =>
    byte < 32 || byte > 126 || byte === 34 || byte === 92 || byte === 63
      ? `\\${byte.toString(8).padStart(3, '0')}`
      : String.fromCharCode(byte),
  );
  return `"${letters.join('')}"`;
}

/** Text that cannot end a comment or continue it on the next line. */
const commentText = (text: string): string => text.replace(/[^\w ./:-]/g, '_').slice(0, 80);

function valueText(value: IrValue, offsets: ValueOffsets | undefined): string {
  const axis = value.constant && 'channelAxis' in value.constant ? value.constant.channelAxis : 0;
  const fields = [
    `ValueType::${value.type}`,
    value.dims.length,
    axis,
    `{${value.dims.join(', ')}}`,
    offsets?.data ?? 0,
    offsets?.quant ?? 0,
  ];
  return `{${fields.join(', ')}},`;
}

function portText({ name, order, shape }: IrPort): string {
  return `{${stringLiteral(name)}, MemoryOrder::${order}, ${shape.length}, {${shape.join(', ')}}},`;
}

function digestText(digest: Uint8Array): string {
  return [...digest].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(', ');
}

function table(type: string, name: string, rows: readonly string[]): string[] {
  return [`constexpr ${type} ${name}[] = {`, ...rows.map((row) => `    ${row}`), '};'];
}

/** What people call the numbers in the file: int8 when any value is. */
function precisionName(graph: IrGraph, precision: 'fp32' | 'fp16'): string {
  return graph.values.some((value) => value.type === 'qint8') ? 'int8' : precision;
}

function steps(graph: IrGraph): string[] {
  return graph.ops.map((op) => `  SELVEDGE_STEP(${operationText(op)});  // ${commentText(graph.values[op.y]?.name ?? '')}`);
}

/**
 * Writes the C++ that builds the graph with XNNPACK, and the weights file that goes with it. Same graph, same text and bytes;
 * the text does not depend on the weights.
 */
export function generateXnnpack(graph: IrGraph, options: XnnpackOptions = {}): XnnpackCode {
  const { precision = 'fp32', symbol = 'kModel' } = options;
  const layout = weightsLayout(graph);
  const digest = structureDigest(graph);
  const scope = `model_${symbol}`;
  const lines = [
    '// Made by the build tool of Selvedge; made anew at every build.',
    '#include "engine/xnnpack/model.h"',
    '',
    'namespace selvedge::xnnpack {',
    `namespace ${scope} {`,
    'namespace {',
    '',
    ...table(
      'ValueSpec',
      'kValues',
      graph.values.map((value, i) => valueText(value, layout.offsets[i])),
    ),
    '',
    ...table('PortSpec', 'kPorts', [...graph.inputs, ...graph.outputs].map(portText)),
    '',
    'xnn_status addOperations(xnn_subgraph_t g) {',
    ...steps(graph),
    '  return xnn_status_success;',
    '}',
    '',
    '}  // namespace',
    `}  // namespace ${scope}`,
    '',
    `extern const ModelSpec ${symbol} = {`,
    `    {${digestText(digest)}},`,
    `    ${layout.totalBytes}, ${scope}::kValues, ${graph.values.length}, ${scope}::kPorts, ${graph.inputs.length}, ${graph.outputs.length},`,
    `    ${precision === 'fp16' ? 'XNN_FLAG_HINT_FP16_INFERENCE' : '0'}, "${precisionName(graph, precision)}", ${scope}::addOperations};`,
    '',
    '}  // namespace selvedge::xnnpack',
    '',
  ];
  return {
    source: lines.join('\n'),
    weights: weightsChunks(graph, layout, digest),
    weightsBytes: layout.totalBytes,
    linkerFlags: unusedKernelFlags(graph, precision),
    digest: Buffer.from(digest).toString('hex'),
  };
}
