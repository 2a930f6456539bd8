import { AppError } from '@selvedge/contract';
import { parseByteRange } from '@selvedge/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BlobStore } from '../ports/blob-store.ts';

/**
 * Streams a blob, or a range of it. Content by digest never changes, so it may be cached for ever.
 * @throws AppError NOT_FOUND.
 */
export async function sendBlob(
  blobs: BlobStore,
  sha256: string,
  request: FastifyRequest,
  reply: FastifyReply,
  fileName?: string,
  mediaType: string = 'application/octet-stream',
): Promise<FastifyReply> {
  const info = await blobs.stat(sha256);
  if (info === undefined) throw new AppError('NOT_FOUND', { message: `There is no content with sha256 ${sha256}.` });
  const etag = `"${sha256}"`;
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'cache-control': 'private, max-age=31536000, immutable',
    'content-security-policy': "default-src 'none'; sandbox",
    'content-disposition': `attachment${fileName === undefined ? '' : `; filename="${fileName}"`}`,
  });
  reply.type(mediaType);
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  const wholeOnly = request.headers['if-range'] !== undefined && request.headers['if-range'] !== etag;
  const range = wholeOnly ? 'whole' : parseByteRange(request.headers.range, info.sizeBytes);
  if (range === 'unsatisfiable') return reply.code(416).header('content-range', `bytes */${info.sizeBytes}`).send();
  if (range !== 'whole') reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${info.sizeBytes}`);
  reply.header('content-length', range === 'whole' ? info.sizeBytes : range.end - range.start + 1);
  if (request.method === 'HEAD') return reply.send();
  const content = await blobs.open(sha256, range === 'whole' ? undefined : range);
  if (content === undefined) throw new AppError('NOT_FOUND', { message: `There is no content with sha256 ${sha256}.` });
  return reply.send(content);
}
