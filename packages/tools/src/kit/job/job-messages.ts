import { AppError, type ErrorDetails, isErrorCode, jobResourcesSchema } from '@selvedge/contract';
import * as z from 'zod';

/** An error on its way between the two processes: one of ours whole, any other with its stack. */
const sentErrorSchema = z.union([
  z.strictObject({ code: z.string(), details: z.custom<ErrorDetails>((value) => typeof value === 'object' && value !== null) }),
  z.strictObject({ name: z.string(), message: z.string(), stack: z.string() }),
]);
type SentError = z.infer<typeof sentErrorSchema>;

const fetchSourceSchema = z.strictObject({ url: z.string(), sha256: z.string().optional() });

/** From the tool's process to that of the job. */
export const toJobSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('make'),
    tool: z.string(),
    parameters: z.unknown(),
    inputs: z.record(z.string(), z.string()),
    dataDir: z.string(),
    workDir: z.string(),
    checkpointDir: z.string(),
    cacheDir: z.string(),
    attempt: z.int(),
    /** What tells that the job's process is at work, for a tool that is started again meanwhile. */
    lockFile: z.string(),
  }),
  z.strictObject({ type: z.literal('abort'), error: sentErrorSchema }),
  z.strictObject({ type: z.literal('fetched'), call: z.int(), folder: z.string() }),
  z.strictObject({ type: z.literal('usage'), call: z.int(), resources: jobResourcesSchema }),
  z.strictObject({ type: z.literal('refused'), call: z.int(), error: sentErrorSchema }),
]);
export type ToJob = z.infer<typeof toJobSchema>;

/** From the job's process to that of the tool. */
export const fromJobSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('log'), text: z.string() }),
  z.strictObject({ type: z.literal('progress'), fraction: z.number().nullable(), message: z.string().optional() }),
  z.strictObject({ type: z.literal('metric'), name: z.string(), step: z.number(), value: z.number().nullable() }),
  z.strictObject({ type: z.literal('fetch'), call: z.int(), name: z.string(), source: fetchSourceSchema }),
  z.strictObject({ type: z.literal('usage'), call: z.int() }),
  z.strictObject({ type: z.literal('done') }),
  z.strictObject({ type: z.literal('failed'), error: sentErrorSchema }),
]);
export type FromJob = z.infer<typeof fromJobSchema>;

export function sendableError(error: unknown): SentError {
  if (error instanceof AppError) return { code: error.code, details: error.details };
  if (error instanceof Error) return { name: error.name, message: error.message, stack: error.stack ?? error.message };
  return { name: 'Error', message: String(error), stack: String(error) };
}

export function receivedError(sent: SentError): Error {
  if ('code' in sent) {
    if (isErrorCode(sent.code)) return new AppError(sent.code, sent.details);
    return new Error(`${sent.code}: ${sent.details.message}`);
  }
  const error = new Error(sent.message);
  error.name = sent.name;
  error.stack = sent.stack;
  return error;
}
