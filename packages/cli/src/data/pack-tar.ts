import { createReadStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@selvedge/contract';
import { pack } from 'tar-stream';
import type { FileEntry } from './list-files.ts';

/** 1970: nothing in the archive tells when, where or by whom it was packed. */
const FIXED_TIME = new Date(0);
const FIXED_MODE = 0o644;

function unreadable(file: FileEntry, cause: unknown): AppError {
  return new AppError(
    'FILE_UNREADABLE',
    {
      message: `${file.source} could not be packed; it changed or went away meanwhile.`,
      hint: 'Add the dataset again once nothing writes there.',
    },
    { cause },
  );
}

type Archive = ReturnType<typeof pack>;

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

async function addFile(archive: Archive, file: FileEntry, signal: AbortSignal): Promise<void> {
  const { promise: packed, resolve, reject } = withResolvers();
  const entry = archive.entry(
    { name: file.path, size: file.sizeBytes, mtime: FIXED_TIME, mode: FIXED_MODE, uid: 0, gid: 0, type: 'file' },
    (error) => (error ? reject(error) : resolve()),
  );
  entry.on('error', reject);
  let written = 0;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written += chunk.length;
      if (entry.write(chunk)) done();
      else entry.once('drain', () => done());
    },
    final(done) {
      const isWhole = written === file.sizeBytes;
      if (isWhole) entry.end(null);
      done(isWhole ? null : new Error(`expected ${file.sizeBytes} bytes, read ${written}`));
    },
  });
  // One byte more than the header says is asked for, so that a file that has grown is noticed.
  pipeline(createReadStream(file.source, { end: file.sizeBytes, signal }), sink).catch(reject);
  try {
    await packed;
  } catch (error) {
    sink.destroy();
    signal.throwIfAborted();
    throw unreadable(file, error);
  }
}

async function addAll(archive: Archive, files: readonly FileEntry[], signal: AbortSignal): Promise<void> {
  try {
    for (const file of files) await addFile(archive, file, signal);
    archive.finalize();
  } catch (error) {
    archive.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

/**
 * The files as a tar stream that depends on their paths and contents alone: the same files give the same bytes anywhere.
 *
 * @param files - in the order in which they are to be packed.
 * @throws AppError FILE_UNREADABLE, from the iterator, when a file changes size or goes away while it is packed.
 */
export async function* packTar(files: readonly FileEntry[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const archive = pack();
  void addAll(archive, files, signal);
  for await (const chunk of archive) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('The archive must be made of bytes.');
    yield chunk;
  }
}
