import * as z from 'zod';
import { MAX_BUNDLE_DEVICES } from '../bundle.ts';
import { nameSchema } from '../common.ts';
import { bundleSchema } from '../resources/index.ts';
import { route } from './route.ts';

const name = z.strictObject({ name: nameSchema });

/** Exactly one of `devices` and `selector`. */
export const bundleRequestSchema = z
  .strictObject({
    devices: z.array(nameSchema).min(1).max(MAX_BUNDLE_DEVICES).optional(),
    /** Labels, as `device list -l` takes them. */
    selector: z.string().min(1).max(2048).optional(),
    /** No device takes it after that; default 30 days. */
    expiresInS: z
      .int()
      .min(60)
      .max(366 * 86_400)
      .optional(),
  })
  .refine(({ devices, selector }) => (devices === undefined) !== (selector === undefined), 'give one of "devices" and "selector"');

export const importedResultsSchema = z.object({
  device: nameSchema,
  /** The bundle that the device had taken; null when it has taken none. */
  bundle: nameSchema.nullable(),
  /** `taken`; `known`: it was brought before; `older`: something newer is known; `none`: the device has not reported yet. */
  state: z.enum(['taken', 'known', 'older', 'none']),
  /** Samples of telemetry in the file; those that were known are kept once. */
  samples: z.int().min(0),
  /** What the device serves by its word. */
  serving: z.array(z.object({ workload: nameSchema, model: nameSchema, version: z.string().nullable() })),
});
export type ImportedResults = z.infer<typeof importedResultsSchema>;

export const BUNDLE_ROUTES = {
  createBundle: route({
    method: 'POST',
    path: '/api/v1/bundles',
    summary: 'Sign a bundle for devices that no network leads to',
    tag: 'bundles',
    scope: 'user',
    body: bundleRequestSchema,
    response: bundleSchema,
    status: 201,
  }),
  downloadBundle: route({
    method: 'GET',
    path: '/api/v1/bundles/{name}/file',
    summary: 'The bundle as one file; the same bytes each time',
    tag: 'bundles',
    scope: 'user',
    params: name,
    download: 'application/x-tar',
  }),
  revokeBundle: route({
    method: 'POST',
    path: '/api/v1/bundles/{name}/revoke',
    summary: 'Void a bundle: it cannot be downloaded any more, later bundles say so to devices, and its results are refused',
    tag: 'bundles',
    scope: 'user',
    params: name,
    response: bundleSchema,
  }),
  importResults: route({
    method: 'POST',
    path: '/api/v1/bundle-results',
    summary: 'Take what a device has said on a stick',
    tag: 'bundles',
    scope: 'user',
    upload: 'application/octet-stream',
    response: importedResultsSchema,
  }),
};
