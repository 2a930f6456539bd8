import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError, issuesOf } from '@selvedge/contract';
import type * as z from 'zod';
import { readTextFile } from './optional-file.ts';
import { explainDiskError } from './system-error.ts';

/** Makes a finished rename in this folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface AtomicWriteOptions {
  readonly mode?: number;
  readonly mayRevert?: boolean;
}

/**
 * Writes a file so that a reader, or a restart after a crash, sees the old content or the new one, never a part.
 *
 * @param options.mode - permission bits; default 0o644.
 * @param options.mayRevert - a power cut may bring back what was there before (never a part of it), which saves a flush of the folder.
 * @throws AppError DISK_FULL (operational); nothing is left behind.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array, options: AtomicWriteOptions = {}): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', options.mode ?? 0o644);
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw explainDiskError(error, path);
  }
  if (options.mayRevert !== true) await syncFolder(folder);
}

/** `writeFileAtomic` of JSON with two spaces of indent and a final newline. */
export async function writeJsonAtomic(path: string, value: unknown, options: AtomicWriteOptions = {}): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, options);
}

/**
 * Reads and checks a JSON file.
 *
 * @returns undefined when there is no such file.
 * @throws AppError INPUT_INVALID (user) when it is not JSON or does not match; the message names the file.
 */
export async function readJsonFile<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S> | undefined> {
  const text = await readTextFile(path);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError('INPUT_INVALID', { message: `${path} is not valid JSON.` }, { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new AppError('INPUT_INVALID', { message: `${path} does not have the expected content.`, issues: issuesOf(parsed.error) });
  return parsed.data;
}
