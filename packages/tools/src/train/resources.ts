import { existsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { AppError, type Issue, type TrainBlock } from '@selvedge/contract';
import { findGpus, type JobPlan } from '../kit/index.ts';

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

/** How the engine `onnx` divides what it may use: half of `memoryMiB` may hold data, the other half is for weights, gradients and the process. */
export function trainingResources(wanted: TrainBlock['resources']): TrainingResources {
  const maxDataBytes = wanted?.memoryMiB === undefined ? DEFAULT_DATA_BYTES : (wanted.memoryMiB * MIB) / 2;
  return { threads: wanted?.cpus ?? DEFAULT_THREADS, maxDataBytes };
}

interface Machine {
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Whether the memory and the time of processes can be seen; on Linux. */
  readonly hasProc: boolean;
}

function thisMachine(): Machine {
  return {
    cpus: availableParallelism(),
    memoryMiB: Math.floor(totalmem() / MIB),
    hasProc: existsSync('/proc/self/status'),
  };
}

/**
 * What a training gets of what its pipeline asks for.
 *
 * @throws AppError RESOURCES_UNAVAILABLE (user) with an issue for each thing that the machine has not.
 */
export async function planJob(train: TrainBlock | undefined, machine: Machine = thisMachine()): Promise<JobPlan> {
  const asked = train?.resources ?? {};
  const { cpus, memoryMiB, nice = 0 } = asked;
  const issues: Issue[] = [];
  const refuse = (field: string, message: string) => issues.push({ path: `train.resources.${field}`, message });
  if (cpus !== undefined && cpus > machine.cpus) refuse('cpus', `${cpus} CPUs are asked for; this machine has ${machine.cpus}`);
  if (memoryMiB !== undefined && memoryMiB > machine.memoryMiB)
    refuse('memoryMiB', `${memoryMiB} MiB of memory are asked for; this machine has ${machine.memoryMiB} MiB`);
  if (memoryMiB !== undefined && !machine.hasProc) refuse('memoryMiB', 'memory can be limited on Linux only: there is no /proc here');
  if (train?.engine !== 'python' && asked.gpus !== undefined && asked.gpus !== 0)
    refuse('gpus', 'GPUs are asked for; the engine "onnx" computes on the CPU, only the engine "python" can use them');
  if (issues.length > 0) {
    const [first] = issues;
    throw new AppError('RESOURCES_UNAVAILABLE', {
      message: `The training cannot have what it asks for: ${first?.message ?? ''}${issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''}.`,
      hint: `Change ${[...new Set(issues.map((issue) => issue.path))].join(', ')} in the pipeline.`,
      issues,
    });
  }
  const gpuRequest = await findGpus(asked.gpus);
  return { asked, gpuRequest, granted: { threads: cpus ?? DEFAULT_THREADS, memoryMiB: memoryMiB ?? null, nice, gpus: [] } };
}
