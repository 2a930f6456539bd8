import * as z from 'zod';
import { nameSchema } from '../common.ts';
import { operationSchema, operationTaskSchema } from '../resources/index.ts';
import { route } from './route.ts';

const DAY_S = 86_400;

/** Exactly one of `device` and `selector`. */
export const operationRequestSchema = z
  .strictObject({
    task: operationTaskSchema,
    device: nameSchema.optional(),
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
  .refine((request) => (request.device === undefined) !== (request.selector === undefined), 'give either "device" or "selector"');

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
};
