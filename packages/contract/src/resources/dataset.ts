import * as z from 'zod';
import { failureSchema, nameSchema, sha256Schema } from '../common.ts';
import { documentSchema, resourceSchema } from './envelope.ts';

const datasetSpecSchema = z.strictObject({ description: z.string().max(16_384).optional() });
const datasetStatusSchema = z.object({ latestVersion: z.int().min(1).nullable(), versions: z.array(z.int().min(1)) });

export const datasetDocumentSchema = documentSchema('Dataset', datasetSpecSchema);
export const datasetSchema = resourceSchema('Dataset', datasetSpecSchema, datasetStatusSchema);
export type Dataset = z.infer<typeof datasetSchema>;

/** Where the bytes came from. */
export const datasetSourceSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('upload'), fileName: z.string() }),
  z.strictObject({ type: z.literal('url'), url: z.url(), sha256: sha256Schema.optional() }),
]);

/** An immutable version: `digest` is the sha256 of its manifest (one JSON line per file: path, sha256, sizeBytes, split, label). */
export const datasetVersionSpecSchema = z.strictObject({
  dataset: nameSchema,
  version: z.int().min(1),
  source: datasetSourceSchema,
  /** What was uploaded or downloaded; it is kept, so that the version can be imported again. Null until a download is complete. */
  archive: z.strictObject({ sha256: sha256Schema, sizeBytes: z.int().min(0) }).nullable(),
  /** Share held out as `test` (seeded, per class) when the data comes without splits. */
  testShare: z.number().min(0).lt(1),
});

export const datasetContentSchema = z.object({
  /** sha256 of the manifest: two versions with the same digest hold the same files. */
  digest: sha256Schema,
  files: z.int().min(0),
  sizeBytes: z.int().min(0),
  /** Names in order of the class index. */
  labels: z.array(z.string()),
  /** Number of samples per split, e.g. { train: 3000, test: 600 }. */
  splits: z.record(z.string(), z.int().min(0)),
});
export type DatasetContent = z.infer<typeof datasetContentSchema>;

export const datasetVersionStatusSchema = z.object({
  phase: z.enum(['Importing', 'Ready', 'Failed']),
  message: z.string(),
  /** Name of the import tool's artifact. */
  artifact: z.string(),
  content: datasetContentSchema.nullable(),
  /** What the import failed of; null while it has not, absent in versions of before this was kept. */
  error: failureSchema.nullable().optional(),
});
export const datasetVersionSchema = resourceSchema('DatasetVersion', datasetVersionSpecSchema, datasetVersionStatusSchema);
export type DatasetVersion = z.infer<typeof datasetVersionSchema>;
