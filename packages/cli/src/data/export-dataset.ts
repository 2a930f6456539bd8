import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, datasetFileSchema } from '@selvedge/contract';
import { confinePath, explainDiskError, systemErrorCode } from '@selvedge/runtime';
import { extract, type Header } from 'tar-stream';
import { chunksOf } from '../connect.ts';
import { formatBytes } from '../output/format.ts';
import type { Session } from '../session.ts';

interface Written {
  readonly files: number;
  readonly sizeBytes: number;
}

/**
 * Writes a version as a folder in the standard form, every file checked against the manifest. The folder appears whole or
 * not at all.
 *
 * @param to - a folder that is not there yet, or is empty.
 * @throws AppError CONFLICT when it is not; DIGEST_MISMATCH, DISK_FULL, SERVER_UNREACHABLE.
 */
export async function exportDataset(session: Session, { name, version }: { name: string; version: number }, to: string): Promise<Written> {
  const target = resolve(session.io.cwd, to);
  if ((await namesIn(target)).length > 0) {
    throw new AppError('CONFLICT', { message: `${target} is there already and not empty.`, hint: 'Name a folder that is not there yet.' });
  }
  const part = `${target}.part`;
  await rm(part, { recursive: true, force: true });
  try {
    const written = await receive(session, { name, version }, part);
    await rm(target, { recursive: true, force: true });
    await rename(part, target);
    return written;
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    throw explainDiskError(error, target);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new AppError('FILE_UNREADABLE', { message: `${folder} cannot be read as a folder.` }, { cause: error });
  }
}

async function receive(session: Session, params: { name: string; version: number }, folder: string): Promise<Written> {
  const { signal } = session.io;
  const line = session.progress();
  const response = await session.client.stream('exportDataset', { params, signal });
  const tar = extract();
  const feeding = pipeline(Readable.from(chunksOf(response, session.settings.serverUrl)), tar, { signal });
  feeding.catch(() => undefined); // met below as well
  const expected = new Map<string, string>();
  let [files, sizeBytes] = [0, 0];
  try {
    for await (const entry of tar) {
      const digest = await writeEntry(folder, entry.header, Readable.from(entry), expected);
      if (!entry.header.name.startsWith('files/')) continue;
      const path = entry.header.name.slice('files/'.length);
      if (expected.get(path) !== digest)
        throw new AppError('DIGEST_MISMATCH', { message: `${path} arrived with sha256 ${digest}, expected ${expected.get(path)}.` });
      expected.delete(path);
      files += 1;
      sizeBytes += entry.header.size ?? 0;
      line.update(`export  ${files} files, ${formatBytes(sizeBytes)}`, `export ${Math.floor(files / 10_000)}`);
    }
    await feeding;
  } finally {
    line.clear();
  }
  const [missing] = expected.keys();
  if (missing !== undefined)
    throw new AppError('DOWNLOAD_FAILED', { message: `The export ended before ${missing} came.`, hint: 'Try it again.' });
  return { files, sizeBytes };
}

/** Writes one file and returns its sha256; the manifest fills `expected` on its way to the disk. */
async function writeEntry(folder: string, { name, type }: Header, content: Readable, expected: Map<string, string>): Promise<string> {
  if (type !== 'file') throw new AppError('ARCHIVE_UNSAFE', { message: `The export holds a ${type}: ${JSON.stringify(name)}.` });
  const path = confinePath(folder, name);
  await mkdir(dirname(path), { recursive: true });
  const hash = createHash('sha256');
  let rest = '';
  const tapped = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      if (name === 'manifest.jsonl') {
        const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) noteFile(line, expected);
      }
      yield chunk;
    }
  };
  await pipeline(content, tapped, createWriteStream(path, { flags: 'wx' }));
  return hash.digest('hex');
}

/** @param line - bytes as latin1, so that a character cut by a chunk's end is whole again. */
function noteFile(line: string, expected: Map<string, string>): void {
  const { path, sha256 } = datasetFileSchema.parse(JSON.parse(Buffer.from(line, 'latin1').toString('utf8')));
  expected.set(path, sha256);
}
