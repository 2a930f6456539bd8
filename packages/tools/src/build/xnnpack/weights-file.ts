import type { ConstantData, IrGraph, IrValue } from '@selvedge/graph/lower';

/** Bytes at the start of the file: see `weightsHeader`. */
const HEADER_BYTES = 64;
export const WEIGHTS_VERSION = 1;
const MAGIC = 'SLVGWTS\0';
const ALIGNMENT = 64;
/** XNNPACK reads up to this far behind a tensor. */
const SLACK_BYTES = 128;

/** Where the contents of one value stand in the file; 0 where it has none. */
export interface ValueOffsets {
  readonly data: number;
  /** Scales of a value with one scale per channel; scale and zero point of an int8 value. */
  readonly quant: number;
}

export interface WeightsLayout {
  /** By index of the value. */
  readonly offsets: readonly ValueOffsets[];
  readonly totalBytes: number;
}

const quantBytes = (value: IrValue): number => {
  if (value.quant) return 8;
  return value.constant && 'scales' in value.constant ? value.constant.scales.byteLength : 0;
};

/** Lays out every constant and every quantisation parameter, each at a multiple of 64; depends on the structure alone. */
export function weightsLayout(graph: IrGraph): WeightsLayout {
  let end = HEADER_BYTES;
  const place = (bytes: number): number => {
    if (bytes === 0) return 0;
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    end = offset + bytes;
    return offset;
  };
  // Small parameters side by side: they are read once, at the start.
  const quants = graph.values.map((value) => place(quantBytes(value)));
  const offsets = graph.values.map((value, i) => ({ quant: quants[i] ?? 0, data: place(value.constant?.values.byteLength ?? 0) }));
  return { offsets, totalBytes: Math.ceil((end + SLACK_BYTES) / ALIGNMENT) * ALIGNMENT };
}

/**
 * The header: 8 bytes magic, format version and header size (uint32 each), size of the file (uint64), SHA-256 of the
 * structure that the weights are for, zeros. All little-endian.
 */
function weightsHeader(digest: Uint8Array, totalBytes: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, letter] of [...MAGIC].entries()) bytes[i] = letter.charCodeAt(0);
  view.setUint32(8, WEIGHTS_VERSION, true);
  view.setUint32(12, HEADER_BYTES, true);
  view.setBigUint64(16, BigInt(totalBytes), true);
  bytes.set(digest, 24);
  return bytes;
}

function bytesOf(array: ConstantData['values']): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function quantContents(value: IrValue): Uint8Array {
  if (value.quant) {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat32(0, value.quant.scale, true);
    view.setInt32(4, value.quant.zeroPoint, true);
    return new Uint8Array(view.buffer);
  }
  return value.constant && 'scales' in value.constant ? bytesOf(value.constant.scales) : new Uint8Array();
}

/** The file as pieces to be written one after another. */
export function weightsChunks(graph: IrGraph, layout: WeightsLayout, digest: Uint8Array): Uint8Array[] {
  const pieces: { offset: number; bytes: Uint8Array }[] = [{ offset: 0, bytes: weightsHeader(digest, layout.totalBytes) }];
  for (const [i, value] of graph.values.entries()) {
    const offsets = layout.offsets[i];
    if (offsets?.quant) pieces.push({ offset: offsets.quant, bytes: quantContents(value) });
    if (offsets?.data && value.constant) pieces.push({ offset: offsets.data, bytes: bytesOf(value.constant.values) });
  }
  pieces.sort((a, b) => a.offset - b.offset);
  const chunks: Uint8Array[] = [];
  let end = 0;
  for (const { offset, bytes } of pieces) {
    if (offset > end) chunks.push(new Uint8Array(offset - end));
    chunks.push(bytes);
    end = offset + bytes.byteLength;
  }
  chunks.push(new Uint8Array(layout.totalBytes - end));
  return chunks;
}
