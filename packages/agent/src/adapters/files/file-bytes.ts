import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Read at once. */
export const CHUNK_BYTES = 1024 * 1024;

/** @param path - must not be a link. */
export async function digestOfPath(path: string, signal: AbortSignal): Promise<string | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return await digestOf(handle, (await handle.stat()).size, signal);
  } finally {
    await handle.close();
  }
}

/** sha256 of the first `size` bytes. */
export async function digestOf(handle: FileHandle, size: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await digestInto(hash, handle, size, signal);
  return hash.digest('hex');
}

/** Adds the first `size` bytes to a digest. */
export async function digestInto(hash: Hash, handle: FileHandle, size: number, signal: AbortSignal): Promise<void> {
  for await (const bytes of chunksOf(handle, 0, size, CHUNK_BYTES)) {
    hash.update(bytes);
    signal.throwIfAborted();
  }
}

/** Bytes of a file from one position to another; each chunk is valid until the next is asked for. Ends early where the file does. */
export async function* chunksOf(handle: FileHandle, from: number, to: number, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; ) {
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, to - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** The same bytes in fewer pieces: a socket gives 16 KiB at a time, and each write to the disk is a round trip. What came before an error is given first. */
export async function* inBatches(body: AsyncIterable<Uint8Array>, batchBytes: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  let failure: { cause: unknown } | undefined;
  const take = () => {
    const batch = Buffer.concat(held, bytes);
    held = [];
    bytes = 0;
    return batch;
  };
  try {
    for await (const chunk of body) {
      held.push(chunk);
      bytes += chunk.byteLength;
      if (bytes >= batchBytes) yield take();
    }
  } catch (cause) {
    failure = { cause };
  }
  if (bytes > 0) yield take();
  if (failure !== undefined) throw failure.cause;
}

/** Writes all of it: one call may take a part only. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; )
    done += (await handle.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
}
