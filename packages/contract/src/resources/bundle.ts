import * as z from 'zod';
import { nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { fileReferenceSchema } from '../device-channel/messages.ts';
import { resourceOf } from './envelope.ts';

const bundleSpecSchema = z.object({
  /** As asked for: names of devices or a label query. */
  target: z.string().max(2048),
  /** Who asked. */
  by: z.string().max(253),
  /** No device takes it after that. */
  expiresAt: timestampSchema,
  devices: z.array(
    z.object({
      device: nameSchema,
      /** Of the Device resource: one that is made anew under the name is another. */
      uid: z.string(),
      certificates: z.array(sha256Schema),
      /** Of the desired state that it takes there. */
      revision: z.int().min(0),
    }),
  ),
  /** The signed statement, among the server's content. */
  statement: fileReferenceSchema,
  /** How many files it carries, and how large it is as a whole. */
  files: z.int().min(0),
  sizeBytes: z.int().min(0),
});

const bundleStatusSchema = z.object({
  /** Set when nobody is to use it any more; `by` is who revoked it. */
  revoked: z.object({ at: timestampSchema, by: z.string().max(253) }).nullable(),
  devices: z.array(
    z.object({
      device: nameSchema,
      /** `void`: the device was removed before it came back. */
      state: z.enum(['pending', 'returned', 'void']),
      /** When its results were brought back last. */
      returnedAt: timestampSchema.nullable(),
    }),
  ),
});
export type BundleStatus = z.infer<typeof bundleStatusSchema>;

/** What was written for devices that no network leads to, for whom, by whom, and what came back. */
export const bundleSchema = resourceOf('Bundle', bundleSpecSchema, bundleStatusSchema);
export type Bundle = z.infer<typeof bundleSchema>;

/** How a bundle stands, in one word. */
export function bundleState({ spec, status }: Bundle, nowMs: number): 'pending' | 'returned' | 'revoked' | 'void' | 'expired' {
  if (status.revoked !== null) return 'revoked';
  if (status.devices.some(({ state }) => state === 'void')) return 'void';
  if (status.devices.every(({ state }) => state === 'returned')) return 'returned';
  return Date.parse(spec.expiresAt) <= nowMs ? 'expired' : 'pending';
}
