import { AppError } from '@selvedge/contract';

/** What a training needs to go on where it stopped. */
export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  /** All float32 vectors, in an order that the layout fixes. */
  readonly vectors: readonly Float32Array[];
}

/** "SVT1": the form below, version 1. All numbers are little-endian. */
const MAGIC = 0x3154_5653;
/** Magic, length of the layout, step. */
const HEADER_BYTES = 16;

const padded = (length: number): number => Math.ceil(length / 4) * 4;

/**
 * Bytes: magic u32, layout length u32, step f64, layout as UTF-8 filled up to 4 bytes, the vectors one after the other.
 *
 * @param layout - text that is the same only for the same model and options.
 */
export function encodeCheckpoint(layout: string, checkpoint: Checkpoint): Uint8Array {
  const text = new TextEncoder().encode(layout);
  const start = HEADER_BYTES + padded(text.length);
  const values = checkpoint.vectors.reduce((sum, vector) => sum + vector.length, 0);
  const bytes = new Uint8Array(start + 4 * values);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, text.length, true);
  view.setFloat64(8, checkpoint.step, true);
  bytes.set(text, HEADER_BYTES);
  const body = new Float32Array(bytes.buffer, start);
  let offset = 0;
  for (const vector of checkpoint.vectors) {
    body.set(vector, offset);
    offset += vector.length;
  }
  return bytes;
}

function invalid(why: string): AppError {
  return new AppError('INPUT_INVALID', {
    message: `The training checkpoint is not valid: ${why}.`,
    hint: 'Start the training from the beginning.',
  });
}

/**
 * @param lengths - of the vectors, in order.
 * @throws AppError INPUT_INVALID for damaged bytes; CONFLICT for the checkpoint of another training.
 */
export function decodeCheckpoint(bytes: Uint8Array, layout: string, lengths: readonly number[]): Checkpoint {
  if (bytes.byteLength < HEADER_BYTES) throw invalid('it is too short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw invalid('it does not begin as one');
  const textLength = view.getUint32(4, true);
  const step = view.getFloat64(8, true);
  const start = HEADER_BYTES + padded(textLength);
  if (start > bytes.byteLength || !Number.isSafeInteger(step) || step < 0) throw invalid('its header is damaged');
  if (new TextDecoder().decode(bytes.subarray(HEADER_BYTES, HEADER_BYTES + textLength)) !== layout) {
    throw new AppError('CONFLICT', {
      message: 'The checkpoint belongs to a training with another model or other options.',
      hint: 'Start the training from the beginning.',
    });
  }
  const values = lengths.reduce((sum, length) => sum + length, 0);
  if (bytes.byteLength !== start + 4 * values) throw invalid('its length is wrong');
  // Copied: the start may not be aligned, and slice() of a Node Buffer would be a view of memory that others use.
  const body = new Float32Array(Uint8Array.from(bytes.subarray(start)).buffer);
  let offset = 0;
  const vectors = lengths.map((length) => {
    offset += length;
    return body.slice(offset - length, offset);
  });
  return { step, vectors };
}
