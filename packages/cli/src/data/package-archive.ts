import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, type Package } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { type VerifiedPackage, verifyPackageArchive } from '@selvedge/runtime/package';
import { chunksOf } from '../connect.ts';
import { formatBytes } from '../output/format.ts';
import { getOne } from '../resources.ts';
import type { Session } from '../session.ts';
import { readCa } from './read-ca.ts';
import { alsoTo, writeWhole } from './write-whole.ts';

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return false;
  }
}

function expectedOf({ status }: Package): { archiveSha256?: string; manifestSha256?: string } {
  return {
    ...(status.archive === null ? {} : { archiveSha256: status.archive.sha256 }),
    ...(status.manifestSha256 === null ? {} : { manifestSha256: status.manifestSha256 }),
  };
}

/** The archive from the server as it arrives, with progress on stderr. */
async function* downloaded(session: Session, one: Package): AsyncGenerator<Uint8Array> {
  const { client, io, settings } = session;
  const { name } = one.metadata;
  const response = await client.stream('downloadPackage', { params: { name }, signal: io.signal });
  const line = session.progress();
  const total = one.status.archive?.sizeBytes ?? 0;
  let done = 0;
  try {
    for await (const chunk of chunksOf(response, settings.serverUrl)) {
      done += chunk.length;
      const percent = total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 100));
      line.update(`download ${percent}%  ${formatBytes(done)} of ${formatBytes(total)}`, `download ${Math.floor(percent / 10)}`);
      yield chunk;
    }
  } finally {
    line.clear();
  }
}

/**
 * Checks an archive: a file's, or that of a package on the server when there is no such file.
 *
 * @param ca - file with the authority's certificate; default: the server is asked for it.
 * @throws AppError SIGNATURE_INVALID, ARCHIVE_UNSAFE, DIGEST_MISMATCH; NOT_FOUND when it is neither a file nor a package.
 */
export async function verifyPackage(session: Session, what: string, ca: string | undefined): Promise<VerifiedPackage> {
  const path = resolve(session.io.cwd, what);
  const { signal } = session.io;
  if (await isFile(path)) return verifyPackageArchive({ source: path, ca: await readCa(session, ca), signal });
  if (/[/\\]|\.(zst|tar)$/.test(what)) throw new AppError('FILE_UNREADABLE', { message: `There is no file ${what}.` });
  const one = await getOne(session, 'Package', what);
  return verifyPackageArchive({ source: downloaded(session, one), ca: await readCa(session, ca), expected: expectedOf(one), signal });
}

/**
 * Writes a package's archive to a file, or what is in it to a folder. It appears only when all of it was verified.
 *
 * @throws AppError USAGE (both wanted), CONFLICT (the folder is not empty, or nothing is built yet), DISK_FULL, and as `verifyPackage`.
 */
export async function exportPackage(
  session: Session,
  name: string,
  options: { out?: string; unpack?: string },
): Promise<{ path: string; verified: VerifiedPackage }> {
  if (options.out !== undefined && options.unpack !== undefined)
    throw new AppError('USAGE', { message: 'Choose one of --out and --unpack.' });
  const one = await getOne(session, 'Package', name);
  const common = { ca: await readCa(session, undefined), expected: expectedOf(one), signal: session.io.signal };
  if (options.unpack !== undefined) {
    const path = resolve(session.io.cwd, options.unpack);
    return { path, verified: await verifyPackageArchive({ ...common, source: downloaded(session, one), destination: path }) };
  }
  const path = resolve(session.io.cwd, options.out ?? `${name}.tar.zst`);
  const verified = await writeWhole(path, (file) => verifyPackageArchive({ ...common, source: alsoTo(file, downloaded(session, one)) }));
  return { path, verified };
}
