import * as z from 'zod';
import { nameSchema, sha256Schema } from '../common.ts';
import {
  datasetDiffSchema,
  datasetLayoutSchema,
  datasetRemovalSchema,
  datasetReportSchema,
  datasetVerificationSchema,
  importOptionsSchema,
  resplitSchema,
} from '../dataset-formats.ts';
import { datasetVersionSchema } from '../resources/dataset.ts';
import { artifactNameSchema } from '../tool-api.ts';
import { route } from './route.ts';

const name = z.strictObject({ name: nameSchema });
const nameAndVersion = z.strictObject({ name: nameSchema, version: z.coerce.number().int().min(1) });
const testShare = z.number().min(0).lt(1);
const flag = z.enum(['0', '1']);
/** `digits@2`; without a version the newest. */
const reference = z
  .string()
  .max(260)
  .regex(/^[a-z0-9][-a-z0-9.]*(@[1-9]\d*)?$/, 'must be like NAME or NAME@VERSION');

/** Where a version is to come from: exactly one of `url`, `s3`, `artifact`. */
export const datasetImportRequestSchema = z
  .strictObject({
    url: z.url({ protocol: /^https?$/ }).optional(),
    s3: z
      .strictObject({
        bucket: z.string().min(3).max(63),
        /** An object; or all objects below a key that ends with "/". */
        key: z.string().max(1024),
        /** For what speaks S3 and is not AWS. Credentials are the server's own: AWS_ACCESS_KEY_ID and so on. */
        endpoint: z.url({ protocol: /^https?$/ }).optional(),
        region: z.string().max(63).optional(),
      })
      .optional(),
    artifact: z.strictObject({ tool: nameSchema, name: artifactNameSchema }).optional(),
    /** Of the file at the URL or in S3. */
    sha256: sha256Schema.optional(),
    /** Share held out as `test` (seeded, per class) when the data comes without splits; default 0.2. */
    testShare: testShare.optional(),
    options: importOptionsSchema.optional(),
  })
  .refine(
    (request) => [request.url, request.s3, request.artifact].filter((one) => one !== undefined).length === 1,
    'needs one of url, s3, artifact',
  );

export const datasetDetailSchema = z.object({
  version: datasetVersionSchema,
  /** Null for versions of before there was one, and while there is none yet. */
  report: datasetReportSchema.nullable(),
  /** Runs, model versions and other versions that need this one. */
  neededBy: z.array(z.string()),
});

/** What datasets can do beside being applied, listed and read as resources. */
export const DATASET_ROUTES = {
  uploadDataset: route({
    method: 'POST',
    path: '/api/v1/datasets/{name}/upload',
    summary: 'Add a version from a tar stream of files; the same bytes again give the same version',
    tag: 'datasets',
    scope: 'user',
    params: name,
    query: z.strictObject({
      fileName: z.string().max(255).optional(),
      testShare: z.coerce.number().min(0).lt(1).optional(),
      format: datasetLayoutSchema.optional(),
      skipBroken: flag.optional(),
      labelColumn: z.string().min(1).max(256).optional(),
      /** Separated by commas. */
      ignoreColumns: z.string().max(65_536).optional(),
      groupBefore: z.string().min(1).max(16).optional(),
    }),
    upload: 'application/x-tar',
    response: datasetVersionSchema,
    status: 202,
  }),
  importDataset: route({
    method: 'POST',
    path: '/api/v1/datasets/{name}/import',
    summary: 'Add a version from a URL, from S3 or from an artifact of a tool',
    tag: 'datasets',
    scope: 'user',
    params: name,
    body: datasetImportRequestSchema,
    response: datasetVersionSchema,
    status: 202,
  }),
  getDatasetVersion: route({
    method: 'GET',
    path: '/api/v1/datasets/{name}/versions/{version}',
    summary: 'A version with class balance, sizes, copies, broken files and what needs it',
    tag: 'datasets',
    scope: 'user',
    params: nameAndVersion,
    response: datasetDetailSchema,
  }),
  splitDataset: route({
    method: 'POST',
    path: '/api/v1/datasets/{name}/versions/{version}/split',
    summary: 'Add a version with other splits: seeded, stratified, groups kept together',
    tag: 'datasets',
    scope: 'user',
    params: nameAndVersion,
    body: resplitSchema,
    response: datasetVersionSchema,
    status: 202,
  }),
  verifyDataset: route({
    method: 'POST',
    path: '/api/v1/datasets/{name}/versions/{version}/verify',
    summary: 'Read every file of a version again and compare it with the manifest',
    tag: 'datasets',
    scope: 'user',
    params: nameAndVersion,
    response: datasetVerificationSchema,
  }),
  exportDataset: route({
    method: 'GET',
    path: '/api/v1/datasets/{name}/versions/{version}/archive',
    summary: 'A version in the standard form as a tar stream',
    tag: 'datasets',
    scope: 'user',
    params: nameAndVersion,
    download: 'application/x-tar',
  }),
  diffDatasets: route({
    method: 'GET',
    path: '/api/v1/dataset-diff',
    summary: 'What one version has against another',
    tag: 'datasets',
    scope: 'user',
    query: z.strictObject({ from: reference, to: reference }),
    response: datasetDiffSchema,
  }),
  removeDataset: route({
    method: 'DELETE',
    path: '/api/v1/datasets/{name}',
    summary: 'Remove versions that nothing needs, and free their space',
    tag: 'datasets',
    scope: 'user',
    params: name,
    query: z.strictObject({
      /** One version; without it all, and the dataset itself. */
      version: z.coerce.number().int().min(1).optional(),
      /** Those that nothing needs, but for the newest `keep` versions (default 1). */
      unused: flag.optional(),
      keep: z.coerce.number().int().min(0).optional(),
    }),
    response: datasetRemovalSchema,
  }),
};
