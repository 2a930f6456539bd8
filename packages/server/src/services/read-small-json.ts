import type { Readable } from 'node:stream';
import { AppError, issuesOf } from '@selvedge/contract';
import { readBounded } from '@selvedge/runtime';
import type * as z from 'zod';

/** Reports and descriptions; a label list of a large dataset is the longest of them. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Reads and checks a JSON file that a tool has made.
 * @throws AppError STEP_FAILED (operational) when it is not there or not what it should be, with all issues.
 */
export async function readSmallJson<S extends z.ZodType>(stream: Readable | undefined, schema: S, file: string): Promise<z.output<S>> {
  if (stream === undefined) throw new AppError('STEP_FAILED', { message: `The tool left no ${file}.` });
  const text = (await readBounded(stream, MAX_BYTES, `${file} is larger than the limit of ${MAX_BYTES} bytes.`)).toString('utf8');
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
