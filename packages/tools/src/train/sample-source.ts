import type { TensorSet } from '@selvedge/contract';
import { openSplit, type SplitReader } from '../tensor-set/tensor-set-reader.ts';

/** Samples of one split in any order, from memory or from the file. */
export interface SampleSource {
  readonly count: number;
  /** Class index of each sample. */
  readonly labels: Int32Array;
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
    const labels = await reader.readLabels();
    const inMemory = reader.count * reader.x.rowLength * Float32Array.BYTES_PER_ELEMENT <= maxBytes;
    return inMemory ? await memorySource(reader, labels) : fileSource(reader, labels);
  } catch (error) {
    await reader.close();
    throw error;
  }
}

async function memorySource(reader: SplitReader, labels: Int32Array): Promise<SampleSource> {
  const all = await reader.x.readAll();
  const sampleSize = reader.x.rowLength;
  await reader.close();
  const gather = async (indices: ArrayLike<number>, into: Float32Array) => {
    for (let i = 0; i < indices.length; i += 1) {
      const start = (indices[i] ?? 0) * sampleSize;
      into.set(all.subarray(start, start + sampleSize), i * sampleSize);
    }
  };
  return { count: labels.length, labels, sampleSize, gather, close: async () => undefined };
}

function fileSource(reader: SplitReader, labels: Int32Array): SampleSource {
  const sampleSize = reader.x.rowLength;
  const gather = async (indices: ArrayLike<number>, into: Float32Array) => {
    for (let i = 0; i < indices.length; i += 1) {
      await reader.x.readRows(indices[i] ?? 0, 1, into.subarray(i * sampleSize, (i + 1) * sampleSize));
    }
  };
  return { count: labels.length, labels, sampleSize, gather, close: () => reader.close() };
}
