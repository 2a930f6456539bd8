import * as z from 'zod';
import { nameSchema, sha256Schema } from '../common.ts';
import { operationSchema, operationTaskSchema } from '../resources/index.ts';
import { route } from './route.ts';

const DAY_S = 86_400;

/** Exactly one of `device`, `devices` and `selector`. */
export const operationRequestSchema = z
  .strictObject({
    task: operationTaskSchema,
    device: nameSchema.optional(),
    devices: z.array(nameSchema).min(1).max(10_000).optional(),
    /** Labels, as `device list -l` takes them. */
    selector: z.string().min(1).max(2048).optional(),
    /** At most so many devices at one time; default 8. */
    parallel: z.int().min(1).max(10_000).optional(),
    /** Devices that are not connected are waited for; default: for files they are, for all else not. */
    wait: z.boolean().optional(),
    /** What has not begun on a device by then has failed there; default a day for files, ten minutes for all else. */
    expiresInS: z
      .int()
      .min(1)
      .max(30 * DAY_S)
      .optional(),
  })
  .refine(
    ({ device, devices, selector }) => [device, devices, selector].filter((one) => one !== undefined).length === 1,
    'give one of "device", "devices" and "selector"',
  );

/** How much of an upload has come in. The content is there for operations once it is complete. */
export const uploadStateSchema = z.object({ sha256: sha256Schema, receivedBytes: z.int().min(0), complete: z.boolean() });

const name = z.strictObject({ name: nameSchema });

export const OPERATION_ROUTES = {
  createOperation: route({
    method: 'POST',
    path: '/api/v1/operations',
    summary: 'Ask something of one or of many devices',
    tag: 'operations',
    scope: 'user',
    body: operationRequestSchema,
    response: operationSchema,
    status: 201,
  }),
  cancelOperation: route({
    method: 'POST',
    path: '/api/v1/operations/{name}/cancel',
    summary: 'End an operation where it has not ended yet',
    tag: 'operations',
    scope: 'user',
    params: name,
    response: operationSchema,
    status: 202,
  }),
  getUpload: route({
    method: 'GET',
    path: '/api/v1/uploads/{sha256}',
    summary: 'How much of a file that devices are to get has come in',
    tag: 'operations',
    scope: 'user',
    params: z.strictObject({ sha256: sha256Schema }),
    response: uploadStateSchema,
  }),
  putUpload: route({
    method: 'PUT',
    path: '/api/v1/uploads/{sha256}',
    summary: 'Send a file that devices are to get, or the rest of it, from the byte on that "getUpload" tells',
    tag: 'operations',
    scope: 'user',
    params: z.strictObject({ sha256: sha256Schema }),
    query: z.strictObject({ offset: z.coerce.number().int().min(0), size: z.coerce.number().int().min(0) }),
    upload: 'application/octet-stream',
    response: uploadStateSchema,
  }),
  downloadOperationFile: route({
    method: 'GET',
    path: '/api/v1/operations/{name}/files/{device}',
    summary: 'What a device has sent, from a byte on',
    tag: 'operations',
    scope: 'user',
    params: z.strictObject({ name: nameSchema, device: nameSchema }),
    query: z.strictObject({ offset: z.coerce.number().int().min(0).optional() }),
    download: 'application/octet-stream',
  }),
};
