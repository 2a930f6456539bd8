import { createReadStream } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import { confinePath, parseByteRange, systemErrorCode } from '@selvedge/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.jsonl': 'application/jsonl',
  '.txt': 'text/plain; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.zip': 'application/zip',
};

/**
 * Sends one regular file below `root`, or the range that is asked for.
 *
 * @throws AppError NOT_FOUND (user), also for a path that leaves the folder or a link.
 */
export async function sendFile(request: FastifyRequest, reply: FastifyReply, root: string, path: string): Promise<Readable | string> {
  const { file, size } = await findFile(root, path);
  // Artifacts are made by users' pipelines: a browser must neither run nor guess what is in them.
  reply
    .header('accept-ranges', 'bytes')
    .header('content-type', MEDIA_TYPES[extname(file).toLowerCase()] ?? 'application/octet-stream')
    .header('content-disposition', `attachment; filename="${basename(file).replace(/[^\x20-\x7e]|["\\]/g, '_')}"`)
    .header('x-content-type-options', 'nosniff');
  const range = parseByteRange(request.headers.range, size);
  if (range === 'unsatisfiable') {
    reply.code(416).header('content-range', `bytes */${size}`);
    return '';
  }
  if (range === 'whole') {
    reply.header('content-length', size);
    return createReadStream(file);
  }
  reply
    .code(206)
    .header('content-range', `bytes ${range.start}-${range.end}/${size}`)
    .header('content-length', range.end - range.start + 1);
  return createReadStream(file, { start: range.start, end: range.end });
}

async function findFile(root: string, path: string): Promise<{ file: string; size: number }> {
  const missing = () => new AppError('NOT_FOUND', { message: `There is no file ${JSON.stringify(path.slice(0, 200))} here.` });
  try {
    const file = confinePath(root, path);
    const entry = await lstat(file);
    if (!entry.isFile() || (await realpath(file)) !== confinePath(await realpath(root), path)) throw missing();
    return { file, size: entry.size };
  } catch (error) {
    if (error instanceof AppError && error.code === 'ARCHIVE_UNSAFE') throw missing();
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(systemErrorCode(error) ?? '')) throw missing();
    throw error;
  }
}
