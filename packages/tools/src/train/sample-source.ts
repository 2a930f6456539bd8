import type { TensorSet } from '@selvedge/contract';
import { openSplit, type SplitReader } from '../tensor-set/tensor-set-reader.ts';

/** Samples of one split in any order, from memory or from the file. */
export interface SampleSource {
  readonly count: number;
  /** Class index of each sample; empty where samples have boxes. */
  readonly labels: Int32Array;
  /** Boxes of each sample (class index, x1, y1, x2, y2 each); empty where samples have a class. */
  readonly boxes: readonly Float32Array[];
  /** Values per sample. */
  readonly sampleSize: number;
  /** Copies samples into `into`, one after the other. */
  gather(indices: ArrayLike<number>, into: Float32Array): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a split; its samples are held in memory when they fit into `maxBytes`, which saves a read per sample and step.
 * Larger ones stay in the file, where the page cache serves them.
 */
export async function openSampleSource(folder: string, info: TensorSet, split: string, maxBytes: number): Promise<SampleSource> {
  const reader = await openSplit(folder, info, split);
  try {
    const boxes = reader.hasBoxes ? await reader.readBoxes() : [];
    const labels = reader.hasBoxes ? new Int32Array() : await reader.readLabels();
    const facts = { count: reader.count, labels, boxes, sampleSize: reader.x.rowLength };
    const inMemory = reader.count * reader.x.rowLength * Float32Array.BYTES_PER_ELEMENT <= maxBytes;
    return inMemory ? await memorySource(reader, facts) : fileSource(reader, facts);
  } catch (error) {
    await reader.close();
    throw error;
  }
}

type Facts = Omit<SampleSource, 'gather' | 'close'>;

async function memorySource(reader: SplitReader, facts: Facts): Promise<SampleSource> {
  const all = await reader.x.readAll();
  const { sampleSize } = facts;
  await reader.close();
  const gather = async (indices: ArrayLike<number>, into: Float32Array) => {
    for (let i = 0; i < indices.length; i += 1) {
      const start = (indices[i] ?? 0) * sampleSize;
      into.set(all.subarray(start, start + sampleSize), i * sampleSize);
    }
  };
  return { ...facts, gather, close: async () => undefined };
}

function fileSource(reader: SplitReader, facts: Facts): SampleSource {
  const { sampleSize } = facts;
  const gather = async (indices: ArrayLike<number>, into: Float32Array) => {
    for (let i = 0; i < indices.length; i += 1) {
      await reader.x.readRows(indices[i] ?? 0, 1, into.subarray(i * sampleSize, (i + 1) * sampleSize));
    }
  };
  return { ...facts, gather, close: () => reader.close() };
}
