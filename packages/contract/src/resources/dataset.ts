import * as z from 'zod';
import { failureSchema, nameSchema, sha256Schema } from '../common.ts';
import { DATASET_TYPES, importOptionsSchema, resplitSchema } from '../dataset-formats.ts';
import { artifactNameSchema } from '../tool-api.ts';
import { documentOf, resourceOf } from './envelope.ts';

const datasetSpecSchema = z.strictObject({ description: z.string().max(16_384).optional() });
const datasetStatusSchema = z.object({ latestVersion: z.int().min(1).nullable(), versions: z.array(z.int().min(1)) });

export const datasetDocumentSchema = documentOf('Dataset', datasetSpecSchema);
export const datasetSchema = resourceOf('Dataset', datasetSpecSchema, datasetStatusSchema);
export type Dataset = z.infer<typeof datasetSchema>;

/** Where the bytes came from. */
export const datasetSourceSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('upload'), fileName: z.string() }),
  z.strictObject({ type: z.literal('url'), url: z.url(), sha256: sha256Schema.optional() }),
  /** An object; or all below a key that ends with "/". `endpoint` for what speaks S3 and is not AWS. */
  z.strictObject({
    type: z.literal('s3'),
    bucket: z.string().min(3).max(63),
    key: z.string().max(1024),
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
    region: z.string().max(63).optional(),
    sha256: sha256Schema.optional(),
  }),
  /** What a tool made. */
  z.strictObject({ type: z.literal('artifact'), tool: nameSchema, artifact: artifactNameSchema }),
  /** Another version of this dataset, divided anew. */
  z.strictObject({ type: z.literal('split'), version: z.int().min(1), resplit: resplitSchema }),
]);
export type DatasetSource = z.infer<typeof datasetSourceSchema>;

/** An immutable version: `digest` is the sha256 of its manifest (datasetFileSchema, one JSON line per file). */
export const datasetVersionSpecSchema = z.strictObject({
  dataset: nameSchema,
  version: z.int().min(1),
  source: datasetSourceSchema,
  /** What was uploaded or downloaded; it is kept, so that the version can be imported again. Null until a download is complete, and for what comes from an artifact or another version. */
  archive: z.strictObject({ sha256: sha256Schema, sizeBytes: z.int().min(0) }).nullable(),
  /** Share held out as `test` (seeded, per class) when the data comes without splits. */
  testShare: z.number().min(0).lt(1),
  options: importOptionsSchema.optional(),
});

export const datasetContentSchema = z.object({
  /** sha256 of the manifest: two versions with the same digest hold the same files. */
  digest: sha256Schema,
  /** Absent in versions of before there were several. */
  type: z.enum(DATASET_TYPES).optional(),
  /** Blob of the import's report (datasetReportSchema). */
  report: sha256Schema.optional(),
  files: z.int().min(0),
  sizeBytes: z.int().min(0),
  /** Names in order of the class index. */
  labels: z.array(z.string()),
  /** Number of samples per split, e.g. { train: 3000, test: 600 }. */
  splits: z.record(z.string(), z.int().min(0)),
});
export type DatasetContent = z.infer<typeof datasetContentSchema>;

export const datasetVersionStatusSchema = z.object({
  /** Removing: nobody may use it any more, and its space is being freed. */
  phase: z.enum(['Importing', 'Ready', 'Failed', 'Removing']),
  message: z.string(),
  /** Name of the import tool's artifact. */
  artifact: z.string(),
  content: datasetContentSchema.nullable(),
  /** The version that has the same content already; this one is not listed in the Dataset and will be gone soon. */
  sameAs: z.int().min(1).optional(),
  /** What the import failed of; null while it has not, absent in versions of before this was kept. */
  error: failureSchema.nullable().optional(),
});
export const datasetVersionSchema = resourceOf('DatasetVersion', datasetVersionSpecSchema, datasetVersionStatusSchema);
export type DatasetVersion = z.infer<typeof datasetVersionSchema>;

/** Where a version came from, for people. */
export function describeDatasetSource({ spec: { dataset, source } }: Pick<DatasetVersion, 'spec'>): string {
  switch (source.type) {
    case 'upload':
      return source.fileName;
    case 'url':
      return source.url;
    case 's3':
      return `s3://${source.bucket}/${source.key}`;
    case 'artifact':
      return `artifact ${source.artifact} of ${source.tool}`;
    case 'split':
      return `${dataset}@${source.version}, split anew (seed ${source.resplit.seed})`;
  }
}
