import { availableParallelism, totalmem } from 'node:os';
import { AppError, type TrainBlock } from '@selvedge/contract';

const MIB = 1024 * 1024;
/** Where the pipeline sets no memory limit. */
const DEFAULT_DATA_BYTES = 1024 * MIB;
/** One thread is as fast as two for small networks, and leaves the other cores to the rest of the machine. */
const DEFAULT_THREADS = 1;

export interface TrainingResources {
  /** Threads of ONNX Runtime. */
  readonly threads: number;
  /** Training data up to this size is held in memory; more is read from the files batch by batch. */
  readonly maxDataBytes: number;
}

/**
 * What the training may use: `cpus` becomes threads, half of `memoryMiB` may hold data (the other half is for weights,
 * gradients and the process).
 *
 * @throws AppError RESOURCES_UNAVAILABLE (user) when the machine has less.
 */
export function planResources(wanted: TrainBlock['resources']): TrainingResources {
  const cpus = availableParallelism();
  const memoryMiB = Math.floor(totalmem() / MIB);
  if (wanted?.cpus !== undefined && wanted.cpus > cpus) {
    throw new AppError('RESOURCES_UNAVAILABLE', {
      message: `The training asks for ${wanted.cpus} CPUs; this machine has ${cpus}.`,
      hint: 'Lower train.resources.cpus in the pipeline.',
    });
  }
  if (wanted?.memoryMiB !== undefined && wanted.memoryMiB > memoryMiB) {
    throw new AppError('RESOURCES_UNAVAILABLE', {
      message: `The training asks for ${wanted.memoryMiB} MiB of memory; this machine has ${memoryMiB} MiB.`,
      hint: 'Lower train.resources.memoryMiB in the pipeline.',
    });
  }
  const maxDataBytes = wanted?.memoryMiB === undefined ? DEFAULT_DATA_BYTES : (wanted.memoryMiB * MIB) / 2;
  return { threads: wanted?.cpus ?? DEFAULT_THREADS, maxDataBytes };
}
