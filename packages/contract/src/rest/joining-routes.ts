import * as z from 'zod';
import { labelsSchema, nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { offlineJoinAnswerSchema, offlineJoinRequestSchema } from '../device-channel/offline-join.ts';
import { type Route, route } from './route.ts';

const head = { tag: 'devices', scope: 'user' } as const;
const name = z.strictObject({ name: nameSchema });

export const deviceTokenRequestSchema = z.strictObject({
  /** Seconds until it expires; 60 .. 30 days, default one hour. */
  ttlS: z.int().min(60).max(2_592_000).optional(),
  /** How many devices may join with it; default 1. */
  uses: z.int().min(1).max(100_000).optional(),
  labels: labelsSchema.optional(),
  /** Joins with it wait until an operator approves; default false. */
  approve: z.boolean().optional(),
});
export const deviceTokenSchema = z.object({
  token: z.string(),
  url: z.string(),
  expiresAt: timestampSchema,
  uses: z.int(),
  joinCommand: z.string(),
});

const tokenIdSchema = z.string().regex(/^[0-9a-f]{12}$/, 'must be 12 hexadecimal digits');
/** A join token without its secret, which nobody can be shown again. */
export const deviceTokenFactsSchema = z.object({
  id: tokenIdSchema,
  createdAt: timestampSchema.nullable(),
  expiresAt: timestampSchema,
  uses: z.int(),
  usesLeft: z.int(),
  labels: labelsSchema,
  approve: z.boolean(),
  /** Of the authority that takes over as well: false when it works no longer than the present change of authorities. */
  lasting: z.boolean(),
});
export type DeviceTokenFacts = z.infer<typeof deviceTokenFactsSchema>;

/** A device that has asked to join and is none yet. */
export const deviceJoinSchema = z.object({
  /** Name that it gets. */
  name: nameSchema,
  state: z.enum(['waiting', 'approved']),
  /** sha256 of its public key; the agent shows the same. */
  keySha256: sha256Schema,
  /** Host that asked. */
  address: z.string(),
  labels: labelsSchema,
  requestedAt: timestampSchema,
  expiresAt: timestampSchema,
});
export type DeviceJoin = z.infer<typeof deviceJoinSchema>;

const authoritySchema = z.object({ sha256: sha256Schema, name: z.string(), notAfter: timestampSchema });
/** The authorities, and how far a change of them has come. */
export const caStatusSchema = z.object({
  current: authoritySchema,
  /** Takes over; null while none does. */
  next: authoritySchema.nullable(),
  /** Their package signatures still hold. */
  retired: z.array(authoritySchema),
  devices: z.object({
    total: z.int(),
    /** Trust the authority that comes, and have a certificate of it. */
    ready: z.int(),
    /** The first hundred that are not. */
    waiting: z.array(z.object({ device: nameSchema, online: z.boolean(), reason: z.string() })),
  }),
  /** Join tokens that name the present authority and can still be used: they end with it. */
  tokens: z.int(),
});
export type CaStatus = z.infer<typeof caStatusSchema>;

/** How devices come to be the server's: tokens, approval, authorities. */
export const JOINING_ROUTES = {
  createDeviceToken: route({
    ...head,
    method: 'POST',
    path: '/api/v1/device-tokens',
    summary: 'Make a token with which devices join',
    body: deviceTokenRequestSchema,
    response: deviceTokenSchema,
    status: 201,
  }),
  listDeviceTokens: route({
    ...head,
    method: 'GET',
    path: '/api/v1/device-tokens',
    summary: 'Join tokens that have not expired, without their secrets',
    response: z.object({ items: z.array(deviceTokenFactsSchema) }),
  }),
  revokeDeviceToken: route({
    ...head,
    method: 'DELETE',
    path: '/api/v1/device-tokens/{id}',
    summary: 'Revoke a join token; devices that wait with it are refused',
    params: z.strictObject({ id: tokenIdSchema }),
    status: 204,
  }),
  listDeviceJoins: route({
    ...head,
    method: 'GET',
    path: '/api/v1/device-joins',
    summary: 'Devices that wait to be approved, or to fetch their approval',
    response: z.object({ items: z.array(deviceJoinSchema) }),
  }),
  approveDeviceJoin: route({
    ...head,
    method: 'POST',
    path: '/api/v1/device-joins/{name}/approve',
    summary: 'Let a device that waits join',
    params: name,
    response: deviceJoinSchema,
  }),
  rejectDeviceJoin: route({
    ...head,
    method: 'POST',
    path: '/api/v1/device-joins/{name}/reject',
    summary: 'Refuse a device that waits',
    params: name,
    status: 204,
  }),
  signDeviceRequest: route({
    ...head,
    method: 'POST',
    path: '/api/v1/device-joins/sign',
    summary: 'Make a device of one that has asked in a file; the answer goes back the same way',
    body: offlineJoinRequestSchema,
    response: offlineJoinAnswerSchema,
    status: 201,
  }),
  getCaStatus: route({
    ...head,
    method: 'GET',
    path: '/api/v1/ca/status',
    summary: 'Certificate authorities, and how far a change of them has come',
    response: caStatusSchema,
  }),
  rotateCa: route({
    ...head,
    method: 'POST',
    path: '/api/v1/ca/rotate',
    summary: 'Begin a change of certificate authorities, or end it',
    body: z.strictObject({
      /** End the change: refused while a device is not ready or a token would end, unless `force`. */
      finish: z.boolean().optional(),
      force: z.boolean().optional(),
    }),
    response: caStatusSchema,
  }),
} as const satisfies Record<string, Route>;
