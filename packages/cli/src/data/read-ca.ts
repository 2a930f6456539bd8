import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError } from '@selvedge/contract';
import { explainUnreadable } from '@selvedge/runtime';
import { chunksOf } from '../connect.ts';
import type { Session } from '../session.ts';

/** Larger files are no certificates. */
const MAX_CA_BYTES = 64 * 1024;

/**
 * Whose signatures are taken, PEM.
 *
 * @param file - with the authority's certificate; default: the server is asked for it.
 * @throws AppError FILE_UNREADABLE, INPUT_INVALID (user); SERVER_UNREACHABLE (operational).
 */
export async function readCa(session: Session, file: string | undefined): Promise<string> {
  if (file === undefined) {
    const chunks: Uint8Array[] = [];
    const response = await session.client.stream('getSigningCa', { signal: session.io.signal });
    for await (const chunk of chunksOf(response, session.settings.serverUrl)) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  }
  const path = resolve(session.io.cwd, file);
  try {
    if ((await stat(path)).size <= MAX_CA_BYTES) return await readFile(path, 'utf8');
  } catch (cause) {
    throw explainUnreadable(cause, file);
  }
  throw new AppError('INPUT_INVALID', { message: `${file} is too large to be a certificate.` });
}
