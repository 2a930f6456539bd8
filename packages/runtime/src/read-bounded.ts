import { AppError } from '@selvedge/contract';

/**
 * Reads a stream that must be small to its end. One that is larger is destroyed.
 *
 * @param content - `Buffer`s or text, as Node's streams give them.
 * @param tooLarge - the error's message.
 * @throws AppError PAYLOAD_TOO_LARGE (user) beyond `maxBytes`, without reading on.
 */
export async function readBounded(content: AsyncIterable<Uint8Array | string>, maxBytes: number, tooLarge: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of content) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes > maxBytes) throw new AppError('PAYLOAD_TOO_LARGE', { message: tooLarge });
    chunks.push(bytes);
  }
  return Buffer.concat(chunks, sizeBytes);
}
