import * as z from 'zod';
import { nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { resourceOf } from './envelope.ts';

/** An absolute path on a device. Which of them it allows is the device's own rule. */
export const devicePathSchema = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^\/[^\0]*$/, 'must be an absolute path on the device');

/** Content of a transfer, by its digest, with the name it had where it came from. */
export const transferFileSchema = z.object({
  sha256: sha256Schema,
  sizeBytes: z.int().min(0),
  name: z.string().max(255),
  /** The content is a folder, as an archive of it; `name` is the folder's. */
  folder: z.boolean().optional(),
});

export type TransferFile = z.infer<typeof transferFileSchema>;

export const terminalSizeSchema = z.object({ columns: z.int().min(1).max(1000), rows: z.int().min(1).max(1000) });
export type TerminalSize = z.infer<typeof terminalSizeSchema>;
/** As the environment variable TERM. */
export const terminalTypeSchema = z.string().regex(/^[\w.+-]{1,64}$/);

/** What is asked of each device. */
export const operationTaskSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('push'),
    file: transferFileSchema,
    path: devicePathSchema,
    /** POSIX permission bits, e.g. 420 for 0644. */
    mode: z.int().min(0).max(0o777).optional(),
    limitBytesPerS: z.int().min(1024).optional(),
    /** Only tells whether it would change anything. */
    check: z.boolean().optional(),
  }),
  /** A folder: `file` is an archive of it. What is at the path before is replaced as a whole. */
  z.object({
    type: z.literal('push-folder'),
    file: transferFileSchema,
    path: devicePathSchema,
    limitBytesPerS: z.int().min(1024).optional(),
    /** Only tells whether it would change anything. */
    check: z.boolean().optional(),
  }),
  z.object({
    type: z.literal('pull'),
    path: devicePathSchema,
    limitBytesPerS: z.int().min(1024).optional(),
    /** Only tells size and digest; no content is sent. */
    check: z.boolean().optional(),
    /** Take a folder as well, as an archive of it; without it, a folder is refused. */
    folder: z.boolean().optional(),
  }),
  z.object({
    type: z.literal('exec'),
    argv: z.array(z.string().max(4096)).min(1).max(256),
    timeoutS: z.int().min(1).max(86_400),
  }),
  z.object({ type: z.literal('shell'), size: terminalSizeSchema.optional(), term: terminalTypeSchema.optional() }),
  z.object({ type: z.literal('restart-workload'), workload: nameSchema }),
  z.object({ type: z.literal('reboot'), delayS: z.int().min(0).max(3600) }),
]);
export type OperationTask = z.infer<typeof operationTaskSchema>;

const operationSpecSchema = z.object({
  task: operationTaskSchema,
  /** As asked for: a device's name or a label query. */
  target: z.string().max(2048),
  /** At most so many devices at one time. */
  parallel: z.int().min(1).max(10_000),
  /** Whether a device that is not connected is waited for; otherwise it has failed at once. */
  wait: z.boolean(),
  /** What has not begun on a device by then has failed there. */
  expiresAt: timestampSchema,
  /** Who asked. */
  by: z.string().max(253),
});

export const operationStateSchema = z.enum(['waiting', 'running', 'succeeded', 'failed', 'cancelled']);

export const operationDeviceSchema = z.object({
  device: nameSchema,
  state: operationStateSchema,
  startedAt: timestampSchema.nullable(),
  finishedAt: timestampSchema.nullable(),
  progress: z.object({ doneBytes: z.int().min(0), totalBytes: z.int().min(0) }).nullable(),
  /** Of a command; null while it runs, or when a signal ended it. */
  exitCode: z.int().nullable(),
  /** Content that the device sent (pull), by its digest. */
  file: transferFileSchema.nullable(),
  /** Whether it changed anything on the device (push); null where nobody can tell. */
  changed: z.boolean().nullable(),
  /** First and last part of what a command wrote; the whole is streamed, not stored. */
  output: z.string().max(65_536),
  error: z.object({ code: z.string(), message: z.string().max(4096) }).nullable(),
});
export type OperationDevice = z.infer<typeof operationDeviceSchema>;

export const operationStatusSchema = z.object({
  /** `succeeded` when it did on every device. */
  state: operationStateSchema,
  startedAt: timestampSchema.nullable(),
  finishedAt: timestampSchema.nullable(),
  /** Who cancelled it; null when nobody has. */
  cancelledBy: z.string().max(253).nullable(),
  devices: z.array(operationDeviceSchema),
});
export type OperationStatus = z.infer<typeof operationStatusSchema>;

/** One thing asked of one or of many devices, and what came of it on each: at once the work's state and the record of who did what. */
export const operationSchema = resourceOf('Operation', operationSpecSchema, operationStatusSchema);
export type Operation = z.infer<typeof operationSchema>;
