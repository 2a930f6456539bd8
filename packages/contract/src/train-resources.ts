import * as z from 'zod';

/** `train.resources` of a pipeline: what a training may use of the machine. */
export const trainResourcesSchema = z.strictObject({
  /** Threads that compute; default 1. */
  cpus: z.int().min(1).max(1024).optional(),
  /** Resident memory of the training's processes together; above it they are ended. Default: no limit. */
  memoryMiB: z.int().min(64).optional(),
  /** Added to the scheduling priority's number: 0 (the default) to 19, the most yielding. */
  nice: z.int().min(0).max(19).optional(),
  /** GPUs of the machine: how many, or which by their number. No engine uses them yet: all but 0 is refused. */
  gpus: z.union([z.int().min(0).max(64), z.array(z.int().min(0).max(63)).min(1).max(64)]).optional(),
});
export type TrainResources = z.infer<typeof trainResourcesSchema>;

/** What an artifact's work asked for, was given, and has used of the machine. */
export const jobResourcesSchema = z.object({
  asked: trainResourcesSchema,
  granted: z.object({
    threads: z.int().min(1),
    /** Null: not limited. */
    memoryMiB: z.int().nullable(),
    nice: z.int(),
    /** Numbers of the GPUs; empty: none was asked for. */
    gpus: z.array(z.int()),
  }),
  /** Of this attempt: its process and all that it started. Peak: resident memory of all of them together. */
  used: z.object({ wallSeconds: z.number(), cpuSeconds: z.number(), peakMemoryMiB: z.number() }),
});
export type JobResources = z.infer<typeof jobResourcesSchema>;
