import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, type Bundle, type BundleStatement } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { readBundle } from '@selvedge/runtime/bundle';
import { chunksOf } from '../connect.ts';
import { formatBytes } from '../output/format.ts';
import type { Session } from '../session.ts';
import { readCa } from './read-ca.ts';
import { alsoTo, writeWhole } from './write-whole.ts';

const NOTHING: ReadonlySet<string> = new Set();

/** Writes a bundle to a file. It appears only when all of it was verified. @throws AppError as `verifyBundle` and the download do. */
export async function downloadBundle(session: Session, bundle: Bundle, file: string): Promise<string> {
  const { client, io, settings } = session;
  const { name } = bundle.metadata;
  const path = resolve(io.cwd, file);
  const ca = await readCa(session, undefined);
  const response = await client.stream('downloadBundle', { params: { name }, signal: io.signal });
  const line = session.progress();
  const total = bundle.spec.sizeBytes;
  async function* counted(): AsyncGenerator<Uint8Array> {
    let done = 0;
    for await (const chunk of chunksOf(response, settings.serverUrl)) {
      done += chunk.length;
      const percent = Math.min(100, Math.floor((done / total) * 100));
      line.update(`export ${percent}%  ${formatBytes(done)} of ${formatBytes(total)}`, `export ${Math.floor(percent / 10)}`);
      yield chunk;
    }
  }
  try {
    await writeWhole(path, (out) => readBundle(alsoTo(out, counted()), { ca, onStatement: () => NOTHING, signal: io.signal }));
  } finally {
    line.clear();
  }
  return path;
}

/**
 * Checks a bundle's file from its first byte to its last.
 *
 * @param ca - file with the authority's certificate; default: the server is asked for it.
 * @throws AppError SIGNATURE_INVALID, ARCHIVE_UNSAFE, FILE_UNREADABLE (user), DIGEST_MISMATCH.
 */
export async function verifyBundle(
  session: Session,
  file: string,
  ca: string | undefined,
): Promise<{ statement: BundleStatement; sizeBytes: number }> {
  const path = resolve(session.io.cwd, file);
  const sizeBytes = await sizeOf(path, file);
  const options = { ca: await readCa(session, ca), onStatement: () => NOTHING, signal: session.io.signal };
  return { statement: await readBundle(createReadStream(path), options), sizeBytes };
}

/** Whether there is such a file; a bundle's name is none. */
export async function isBundleFile(session: Session, what: string): Promise<boolean> {
  const found = await stat(resolve(session.io.cwd, what)).catch(() => undefined);
  return found?.isFile() === true || /[/\\]|\.tar$/.test(what);
}

async function sizeOf(path: string, file: string): Promise<number> {
  try {
    const found = await stat(path);
    if (found.isFile()) return found.size;
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${file} cannot be read (${systemErrorCode(cause) ?? 'unknown error'}).` }, { cause });
  }
  throw new AppError('FILE_UNREADABLE', { message: `${file} is not a file.` });
}
