import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readJsonFile, sha256Hex, writeFileAtomic, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';

const bestSchema = z.strictObject({
  /** From 1. */
  epoch: z.int().min(1),
  metrics: z.record(z.string(), z.number()),
});
export type BestEpoch = z.infer<typeof bestSchema>;

const bestValueSchema = z.strictObject({ epoch: z.int().min(1), value: z.number() });
export type BestValue = z.infer<typeof bestValueSchema>;

const indexSchema = z.strictObject({
  /** Epochs done. */
  epoch: z.int().min(1),
  best: bestSchema,
  /** For early stopping: the best value so far, and its epoch. */
  stopping: bestValueSchema.optional(),
  /** Time spent so far, over all attempts. */
  seconds: z.number().min(0),
  stateFile: z.string(),
  stateSha256: z.string(),
  bestFile: z.string(),
  bestSha256: z.string(),
});

export interface TrainingCheckpoint {
  readonly epoch: number;
  readonly best: BestEpoch;
  readonly stopping?: BestValue | undefined;
  readonly seconds: number;
  /** Weights, optimiser and step after the epoch. */
  readonly state: Uint8Array;
  /** ONNX file of the best epoch. */
  readonly bestModel: Uint8Array;
}

const INDEX = 'checkpoint.json';

/**
 * Saves where a training is. `checkpoint.json` is written last and names the other files with their digests: until then
 * the checkpoint before is the valid one.
 */
export async function saveCheckpoint(folder: string, checkpoint: TrainingCheckpoint): Promise<void> {
  const { epoch, best, stopping, seconds, state, bestModel } = checkpoint;
  const stateFile = `state-${epoch}.bin`;
  const bestFile = `best-${best.epoch}.onnx`;
  await writeFileAtomic(join(folder, stateFile), state);
  if (best.epoch === epoch) await writeFileAtomic(join(folder, bestFile), bestModel);
  await writeJsonAtomic(join(folder, INDEX), {
    epoch,
    best,
    stopping,
    seconds,
    stateFile,
    stateSha256: sha256Hex(state),
    bestFile,
    bestSha256: sha256Hex(bestModel),
  } satisfies z.infer<typeof indexSchema>);
  for (const name of await readdir(folder)) if (![INDEX, stateFile, bestFile].includes(name)) await rm(join(folder, name), { force: true });
}

/** The last checkpoint; undefined when there is none or it is damaged (then the training begins anew). */
export async function loadCheckpoint(folder: string): Promise<TrainingCheckpoint | undefined> {
  const index = await readJsonFile(join(folder, INDEX), indexSchema);
  if (index === undefined) return undefined;
  const state = await readFile(join(folder, index.stateFile));
  const bestModel = await readFile(join(folder, index.bestFile));
  if (sha256Hex(state) !== index.stateSha256 || sha256Hex(bestModel) !== index.bestSha256) return undefined;
  // Plain arrays, not Buffers: `slice` of a Buffer is a view of memory that it shares with others.
  return {
    epoch: index.epoch,
    best: index.best,
    stopping: index.stopping,
    seconds: index.seconds,
    state: new Uint8Array(state),
    bestModel: new Uint8Array(bestModel),
  };
}
