import * as z from 'zod';
import { nameSchema, timestampSchema } from '../common.ts';
import { terminalSizeSchema, terminalTypeSchema } from '../resources/operation.ts';
import { commandHead } from './command-head.ts';

/**
 * Programs that a device runs for the server, and its logs. What they write is not pushed: the server reads on from the last number
 * that it has, so that a reply which is lost is asked for again and nothing arrives twice. The device keeps what was not asked for
 * beyond within `MAX_UNREAD_OUTPUT_BYTES` and then stops reading from the program.
 */

/** Largest piece of output, in bytes before base64. */
export const MAX_OUTPUT_CHUNK_BYTES = 64 * 1024;
/** Most output in one reply. */
export const MAX_OUTPUT_PAGE_BYTES = 512 * 1024;
/** What a device keeps of output that was not read. */
export const MAX_UNREAD_OUTPUT_BYTES = 1024 * 1024;
/** Longest time that a device lets a question for output or lines wait. */
export const MAX_READ_WAIT_MS = 25_000;
/** Largest text of log lines in one reply. */
export const MAX_LOG_PAGE_BYTES = 256 * 1024;
/** A longer line of a log is cut. */
export const MAX_LOG_LINE_CHARS = 8192;

/** Names one program on one device, for ever: the same id is not started a second time. */
const streamIdSchema = z.string().min(1).max(128);

export const remoteCommandSchemas = [
  z.object({
    ...commandHead,
    type: z.literal('exec'),
    stream: streamIdSchema,
    argv: z.array(z.string().max(4096)).min(1).max(256),
    timeoutS: z.int().min(1).max(86_400),
  }),
  z.object({
    ...commandHead,
    type: z.literal('shell'),
    stream: streamIdSchema,
    size: terminalSizeSchema,
    term: terminalTypeSchema,
  }),
  /** Output behind `after`; the device forgets what is before. Waits for some as long as `waitMs`. */
  z.object({
    ...commandHead,
    type: z.literal('read-output'),
    stream: streamIdSchema,
    after: z.int().min(0),
    waitMs: z.int().min(0).max(MAX_READ_WAIT_MS),
  }),
  /** To a shell. A number that the device has taken already is dropped. */
  z.object({
    ...commandHead,
    type: z.literal('write-input'),
    stream: streamIdSchema,
    sequence: z.int().min(1),
    dataBase64: z.base64().max(90_000).optional(),
    size: terminalSizeSchema.optional(),
  }),
  /** Ends the program and all that it has started. */
  z.object({ ...commandHead, type: z.literal('end-program'), stream: streamIdSchema }),
  /** Answered when it serves again. */
  z.object({ ...commandHead, type: z.literal('restart-workload'), workload: nameSchema }),
  /** Answered before it happens. The same `stream` reboots once. */
  z.object({ ...commandHead, type: z.literal('reboot'), stream: streamIdSchema, delayS: z.int().min(0).max(3600) }),
  /** Lines of the agent's log, or of a workload's, behind `after`; without it the last `tail`. */
  z.object({
    ...commandHead,
    type: z.literal('logs'),
    workload: nameSchema.optional(),
    after: z.int().min(0).optional(),
    tail: z.int().min(0).max(100_000).optional(),
    since: timestampSchema.optional(),
    waitMs: z.int().min(0).max(MAX_READ_WAIT_MS),
  }),
] as const;
export type RemoteCommand = z.infer<(typeof remoteCommandSchemas)[number]>;

export function isRemoteCommand(command: { type: string }): command is RemoteCommand {
  return remoteCommandSchemas.some((schema) => schema.shape.type.value === command.type);
}

export const outputChunkSchema = z.object({
  /** From 1, without gaps. */
  sequence: z.int().min(1),
  source: z.enum(['stdout', 'stderr', 'pty']),
  dataBase64: z.base64().max(90_000),
});
export type OutputChunk = z.infer<typeof outputChunkSchema>;

/** How a program ended. */
export const programEndSchema = z.object({
  /** Null when a signal ended it or when it never began. */
  exitCode: z.int().nullable(),
  signal: z.string().max(32).nullable(),
  /** Why it was ended, or why nobody knows. */
  error: z.object({ code: z.string().max(64), message: z.string().max(4096) }).nullable(),
});
export type ProgramEnd = z.infer<typeof programEndSchema>;

export const outputPageSchema = z.object({
  chunks: z.array(outputChunkSchema).max(4096),
  /** There once the last chunk is among these or was read. */
  end: programEndSchema.nullable(),
});
export type OutputPage = z.infer<typeof outputPageSchema>;

export const logLineSchema = z.object({
  /** Grows from line to line, also over restarts, maybe with gaps there. */
  sequence: z.int().min(0),
  at: timestampSchema,
  text: z.string().max(MAX_LOG_LINE_CHARS),
});
export type LogLine = z.infer<typeof logLineSchema>;

export const logPageSchema = z.object({
  lines: z.array(logLineSchema).max(65_536),
  /** What to ask with as `after`. */
  next: z.int().min(0),
  /** Lines between `after` and the first of these are no longer on the device. */
  gap: z.boolean(),
});
export type LogPage = z.infer<typeof logPageSchema>;

/** What a reply to these commands carries. */
export const remoteOutcomeSchemas = [
  z.object({ ok: z.literal(true), output: outputPageSchema }),
  z.object({ ok: z.literal(true), logs: logPageSchema }),
  z.object({ ok: z.literal(true), done: z.literal(true) }),
] as const;
