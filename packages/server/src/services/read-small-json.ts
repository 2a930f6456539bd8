import type { Readable } from 'node:stream';
import { AppError, issuesOf } from '@selvedge/contract';
import type * as z from 'zod';

/** Reports and descriptions; a label list of a large dataset is the longest of them. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Collects a stream that must be small. @throws AppError PAYLOAD_TOO_LARGE (user). */
export async function readSmall(stream: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBytes) {
      throw new AppError('PAYLOAD_TOO_LARGE', { message: `The body is larger than the limit of ${maxBytes} bytes.` });
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/**
 * Reads and checks a JSON file that a tool has made.
 * @throws AppError STEP_FAILED (operational) when it is not there or not what it should be, with all issues.
 */
export async function readSmallJson<S extends z.ZodType>(stream: Readable | undefined, schema: S, file: string): Promise<z.output<S>> {
  if (stream === undefined) throw new AppError('STEP_FAILED', { message: `The tool left no ${file}.` });
  const text = (await readSmall(stream, MAX_BYTES)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError('STEP_FAILED', { message: `The tool's ${file} is not JSON.` }, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError('STEP_FAILED', { message: `The tool's ${file} is not as agreed.`, issues: issuesOf(parsed.error) });
}
