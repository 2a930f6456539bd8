import * as z from 'zod';
import { labelsSchema, nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { joinResponseSchema } from './messages.ts';

/** Largest file of a request or an answer, in bytes. */
export const MAX_OFFLINE_JOIN_BYTES = 256 * 1024;

/** What a device that no network leads to asks for, in a file: a PKCS#10 request. */
export const offlineJoinRequestSchema = z.strictObject({
  type: z.literal('selvedge-join-request'),
  csrPem: z.string().max(8192),
  /** Wished name; the server picks `device-<n>` without one. */
  name: nameSchema.optional(),
  labels: labelsSchema.optional(),
});
export type OfflineJoinRequest = z.infer<typeof offlineJoinRequestSchema>;

/** What comes back: all that a join answers, and what the device would have learned on its way to the server. */
export const offlineJoinAnswerSchema = joinResponseSchema.extend({
  type: z.literal('selvedge-join-answer'),
  /** The device port, for the day that there is a network. */
  serverUrl: z.string().max(2048),
  /** sha256 of the authority (DER), as join tokens carry it; `caPem` holds it. */
  authoritySha256: sha256Schema,
  signedAt: timestampSchema,
});
export type OfflineJoinAnswer = z.infer<typeof offlineJoinAnswerSchema>;
