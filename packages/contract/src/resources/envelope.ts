import * as z from 'zod';
import { API_VERSION, metadataInputSchema, metadataSchema } from '../common.ts';

/** A document as a user writes it: apiVersion, kind, metadata, spec. */
export function documentOf<K extends string, S extends z.ZodType>(
  kind: K,
  spec: S,
  apiVersions: readonly [string, ...string[]] = [API_VERSION],
) {
  return z.strictObject({ apiVersion: z.enum(apiVersions), kind: z.literal(kind), metadata: metadataInputSchema, spec });
}

/** A resource as the server returns it: the document with full metadata and the status. */
export function resourceOf<K extends string, S extends z.ZodType, T extends z.ZodType>(kind: K, spec: S, status: T) {
  return z.object({ apiVersion: z.literal(API_VERSION), kind: z.literal(kind), metadata: metadataSchema, spec, status });
}
