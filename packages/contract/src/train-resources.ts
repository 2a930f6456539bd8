import * as z from 'zod';

/** A GPU by its number in `nvidia-smi`, or by its UUID, which stays the same when cards are moved. */
const gpuNameSchema = z.union([
  z.int().min(0).max(63),
  z.string().regex(/^GPU-[0-9A-Fa-f-]{8,64}$/, 'must be the number of a GPU or its UUID as `nvidia-smi -L` shows it'),
]);

/** `train.resources` of a pipeline: what a training may use of the machine. */
export const trainResourcesSchema = z.strictObject({
  /** Threads that compute; default 1. */
  cpus: z.int().min(1).max(1024).optional(),
  /** Memory of the training's processes together; above it they are ended. Default: no limit. */
  memoryMiB: z.int().min(64).optional(),
  /** Added to the scheduling priority's number: 0 (the default) to 19, the most yielding. */
  nice: z.int().min(0).max(19).optional(),
  /** GPUs of the machine, for this training alone: how many, or which. Default 0: it sees none. The engine "onnx" computes on the CPU and refuses them. */
  gpus: z.union([z.int().min(0).max(64), z.array(gpuNameSchema).min(1).max(64)]).optional(),
});
export type TrainResources = z.infer<typeof trainResourcesSchema>;

/** A GPU as `nvidia-smi` tells of it. */
export const gpuSchema = z.object({
  index: z.int().min(0),
  uuid: z.string().min(1),
  name: z.string(),
  memoryMiB: z.int().min(0),
});
export type Gpu = z.infer<typeof gpuSchema>;

/** What an artifact's work asked for, was given, and has used of the machine. */
export const jobResourcesSchema = z.object({
  asked: trainResourcesSchema,
  granted: z.object({
    threads: z.int().min(1),
    /** Null: not limited. */
    memoryMiB: z.int().nullable(),
    nice: z.int(),
    /** Leased for this work alone; empty: it sees none. */
    gpus: z.array(gpuSchema),
  }),
  /**
   * Who sees to the limits: a control group of the operating system (which also holds the CPU time to `cpus`), or the tool,
   * which looks at the memory again and again. Absent in records of before this was kept, where it was the tool.
   */
  enforcedBy: z.enum(['cgroup', 'polling']).optional(),
  /**
   * Of this attempt: its process and all that it started. Peak: with `cgroup` all memory that the group was charged for,
   * files in the page cache included; with `polling` the resident memory of all of them together.
   */
  used: z.object({ wallSeconds: z.number(), cpuSeconds: z.number(), peakMemoryMiB: z.number() }),
});
export type JobResources = z.infer<typeof jobResourcesSchema>;
