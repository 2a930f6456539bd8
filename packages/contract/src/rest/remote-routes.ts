import * as z from 'zod';
import { nameSchema, timestampSchema } from '../common.ts';
import { logLineSchema, outputChunkSchema } from '../device-channel/remote-commands.ts';
import { operationDeviceSchema, terminalSizeSchema } from '../resources/operation.ts';
import { route } from './route.ts';

/** One line of the stream of an operation's output. */
export const outputEventSchema = z.discriminatedUnion('type', [
  /** `sequence` is the device's: what a client has it drops. */
  z.object({ type: z.literal('output'), device: nameSchema, ...outputChunkSchema.shape }),
  /** So much of what is next is gone: it was read too slowly, or too late. */
  z.object({ type: z.literal('lost'), device: nameSchema, bytes: z.int().min(1) }),
  /** Instead of the output, of an operation of long ago: its first and last part. */
  z.object({ type: z.literal('excerpt'), device: nameSchema, text: z.string() }),
  z.object({ type: z.literal('end'), ...operationDeviceSchema.pick({ device: true, state: true, exitCode: true, error: true }).shape }),
]);
export type OutputEvent = z.infer<typeof outputEventSchema>;

/** One line of the stream of a device's log. */
export const deviceLogEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('line'), ...logLineSchema.shape }),
  /** Lines before the next one are no longer on the device. */
  z.object({ type: z.literal('gap') }),
]);
export type DeviceLogEvent = z.infer<typeof deviceLogEventSchema>;

export const operationInputSchema = z.strictObject({
  device: nameSchema,
  /** From 1; one that was taken already is dropped. */
  sequence: z.int().min(1),
  dataBase64: z.base64().max(90_000).optional(),
  size: terminalSizeSchema.optional(),
});

const name = z.strictObject({ name: nameSchema });
const flag = z.enum(['0', '1']).optional();
const count = z.coerce.number().int().min(0);

/** What goes on on devices, as it happens. */
export const REMOTE_ROUTES = {
  getOperationOutput: route({
    method: 'GET',
    path: '/api/v1/operations/{name}/output',
    summary: 'What the command of an operation writes on its devices, and how it ends: one JSON object per line',
    tag: 'operations',
    scope: 'user',
    params: name,
    query: z.strictObject({ device: nameSchema.optional(), follow: flag }),
    download: 'application/x-ndjson',
  }),
  writeOperationInput: route({
    method: 'POST',
    path: '/api/v1/operations/{name}/input',
    summary: 'Type into the shell of an operation, or change the size of its terminal',
    tag: 'operations',
    scope: 'user',
    params: name,
    body: operationInputSchema,
    status: 204,
  }),
  getDeviceLogs: route({
    method: 'GET',
    path: '/api/v1/devices/{name}/logs',
    summary: 'Log of a device or of a workload on it, as it stands or as it grows: one JSON object per line',
    tag: 'devices',
    scope: 'user',
    params: name,
    query: z.strictObject({
      workload: nameSchema.optional(),
      follow: flag,
      after: count.optional(),
      tail: count.max(100_000).optional(),
      since: timestampSchema.optional(),
    }),
    download: 'application/x-ndjson',
  }),
};
