import * as z from 'zod';
import { buildOptionsSchema, ENGINES, PRECISIONS, targetNameSchema } from '../build-options.ts';
import { failureSchema, nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { nativeBenchSchema, nativeManifestSchema } from '../native-package.ts';
import { documentOf, resourceOf } from './envelope.ts';

/** "Build this version for that target." The package is built once; a changed spec builds it anew. */
export const packageSpecSchema = z.strictObject({
  model: nameSchema,
  version: z.string().min(1).max(63),
  target: targetNameSchema,
  build: buildOptionsSchema.optional(),
});
export type PackageSpec = z.infer<typeof packageSpecSchema>;

/** One measurement of a package on a device; the newest per device is kept. */
export const packageBenchmarkSchema = nativeBenchSchema.extend({
  device: nameSchema,
  cpuModel: z.string(),
  at: timestampSchema,
  archiveSha256: sha256Schema,
});
export type PackageBenchmark = z.infer<typeof packageBenchmarkSchema>;

export const packageStatusSchema = z.object({
  phase: z.enum(['Pending', 'Building', 'Ready', 'Failed']),
  message: z.string(),
  /** 0..1 as far as the build tool tells. */
  progress: z.number().min(0).max(1),
  observedGeneration: z.int().min(0),
  /** Artifact of the build tool, once asked for. */
  artifact: z.string().nullable(),
  engine: z.enum(ENGINES).nullable(),
  precision: z.enum(PRECISIONS).nullable(),
  /** The signed tar.zst. */
  archive: z.object({ sha256: sha256Schema, sizeBytes: z.int().min(0) }).nullable(),
  /** sha256 of manifest.json in it. */
  manifestSha256: sha256Schema.nullable(),
  manifest: nativeManifestSchema.nullable(),
  /** Decisions worth knowing: why the other engine was taken, what int8 cost. */
  notes: z.array(z.string()),
  error: failureSchema.nullable(),
  builtAt: timestampSchema.nullable(),
  benchmarks: z.array(packageBenchmarkSchema),
});
export type PackageStatus = z.infer<typeof packageStatusSchema>;

export const packageDocumentSchema = documentOf('Package', packageSpecSchema);
export const packageSchema = resourceOf('Package', packageSpecSchema, packageStatusSchema);
export type Package = z.infer<typeof packageSchema>;

/** The name under which a version's package for a target is found when nobody gave it another one. */
export function packageName(model: string, version: string, target: string, precision: string = 'fp32'): string {
  const plain = version
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return `${model}.${plain}.${target}.${precision}`;
}
