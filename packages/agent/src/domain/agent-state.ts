import {
  type DesiredState,
  desiredStateSchema,
  fileReferenceSchema,
  nameSchema,
  nativePackageReferenceSchema,
  transferCountsSchema,
} from '@selvedge/contract';
import * as z from 'zod';
import { trafficSchema } from './histogram.ts';
import { trialRecordSchema } from './trial-record.ts';

/**
 * One way to serve one version of a workload, as the device knows it. `key` is its folder's name. With `native` its files are
 * those of the native package, without it those that the manifest for the model server names.
 */
const versionRecordSchema = z.object({
  key: z.string().regex(/^[A-Za-z0-9_-]{1,80}$/),
  model: nameSchema,
  version: z.string().min(1).max(63),
  manifest: fileReferenceSchema,
  native: nativePackageReferenceSchema.optional(),
});
export type VersionRecord = z.infer<typeof versionRecordSchema>;

const savedWorkloadSchema = z.object({
  /** The serving port, also the one that was picked for a desired port of 0. */
  port: z.int().min(1).max(65_535).nullable(),
  lastServed: z.string().nullable(),
  previous: z.string().nullable(),
  /** What lies complete on disk. */
  versions: z.array(versionRecordSchema).max(100),
  /** What fetching the desired version cost, and which it is. */
  transfer: transferCountsSchema.extend({ key: z.string().max(80) }).optional(),
  /** The trial that is under way, or the last one. */
  trial: trialRecordSchema.nullable().optional(),
  /** Trials that failed, the newest last: none of them is begun again. */
  failedTrials: z.array(z.string().max(128)).max(50).optional(),
  /** What versions answered on this device, to compare the next ones with; by key. */
  profiles: z.record(z.string().max(80), trafficSchema).optional(),
});
export type SavedWorkload = z.infer<typeof savedWorkloadSchema>;

/** All that the agent needs to serve again after a restart without the network. */
export const agentStateSchema = z.object({
  formatVersion: z.literal(1),
  /** As last received. */
  desired: desiredStateSchema.nullable(),
  workloads: z.record(
    nameSchema,
    z.lazy(() => savedWorkloadSchema),
  ),
});
export type AgentState = z.infer<typeof agentStateSchema>;

export const EMPTY_STATE: AgentState = { formatVersion: 1, desired: null, workloads: {} };
export const EMPTY_SAVED_WORKLOAD: SavedWorkload = { port: null, lastServed: null, previous: null, versions: [] };

/** A desired state is taken over unless it is older than the known one: the broker may deliver duplicates late. */
export function isNewer(next: DesiredState, known: DesiredState | null): boolean {
  return known === null || next.revision >= known.revision;
}
