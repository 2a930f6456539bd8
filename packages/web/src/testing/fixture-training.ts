import type { JobResources } from '@selvedge/contract';

/** A training that asked for more than the defaults and got it, on a machine with cgroup v2 and an NVIDIA card. */
export const TRAINING_RESOURCES: JobResources = {
  asked: { cpus: 2, memoryMiB: 4096, nice: 5, gpus: 1 },
  granted: {
    threads: 2,
    memoryMiB: 4096,
    nice: 5,
    gpus: [{ index: 0, uuid: 'GPU-5e1f7a02-93c4-4d0b-8a55-1c2d3e4f5a6b', name: 'NVIDIA L4', memoryMiB: 23_034 }],
  },
  enforcedBy: 'cgroup',
  used: { wallSeconds: 41.2, cpuSeconds: 73.9, peakMemoryMiB: 812.4 },
};
