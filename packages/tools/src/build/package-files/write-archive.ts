import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, type NativeManifest } from '@selvedge/contract';
import { pack } from 'tar-stream';

/** tar ends with two blocks of zeros. */
const END_BYTES = 1024;
const MAX_MESSAGE = 2000;

export interface ArchiveOptions {
  /** Folder with the files of the manifest. */
  readonly folder: string;
  readonly files: NativeManifest['files'];
  /** Path of the zstd program. */
  readonly zstd: string;
  readonly output: string;
  readonly signal: AbortSignal;
  /** @param fraction - 0..1 of the bytes. */
  progress(fraction: number): void;
}

/** Everything but the last END_BYTES of a stream. */
async function* withoutEnd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0);
  for await (const chunk of chunks) {
    held = Buffer.concat([held, chunk]);
    if (held.length <= END_BYTES) continue;
    yield held.subarray(0, held.length - END_BYTES);
    held = Buffer.from(held.subarray(held.length - END_BYTES));
  }
}

/** The tar entries of the files, sorted by path, with nothing in them but path, size and permissions. */
async function* tarEntries({ folder, files, signal, progress }: ArchiveOptions): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const total = files.reduce((sum, file) => sum + file.sizeBytes, 0) || 1;
  let done = 0;
  const addAll = async () => {
    for (const { path, sizeBytes, executable } of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
      const mode = executable ? 0o755 : 0o644;
      const entry = tar.entry({
        name: path,
        size: sizeBytes,
        mode,
        mtime: new Date(0),
        uid: 0,
        gid: 0,
        uname: '',
        gname: '',
        type: 'file',
      });
      await pipeline(createReadStream(join(folder, path)), entry, { signal });
      done += sizeBytes;
      progress(done / total);
    }
    tar.finalize();
  };
  const adding = addAll().catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  yield* withoutEnd(Readable.from(tar));
  await adding;
}

/** Compresses to one zstd frame: one thread and a fixed level, so that the same bytes come out. */
async function compressFrame(source: Readable, { zstd, output, signal }: ArchiveOptions, flags: 'w' | 'a'): Promise<void> {
  const child = spawn(zstd, ['-19', '--no-progress', '-T1', '-c', '-q'], { stdio: ['pipe', 'pipe', 'pipe'], env: {} });
  let message = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    message = (message + text).slice(0, MAX_MESSAGE);
  });
  const ended = once(child, 'close', { signal });
  try {
    await Promise.all([
      pipeline(source, child.stdin, { signal }),
      pipeline(child.stdout, createWriteStream(output, { flags }), { signal }),
    ]);
    const [exitCode]: (number | null)[] = await ended;
    if (exitCode !== 0) throw new AppError('BUILD_FAILED', { message: `zstd ended with ${exitCode}: ${message.trim()}` });
  } catch (error) {
    child.kill('SIGKILL');
    await ended.catch(() => undefined); // the error above says more
    signal.throwIfAborted();
    throw error;
  }
}

/**
 * Writes files.tar.zst: one frame with the entries of all files, and one with the end of the archive, so that a frame
 * with further entries can be put in front. Same files, same bytes.
 *
 * @throws AppError BUILD_FAILED when zstd fails; the signal's reason.
 */
export async function writeArchive(options: ArchiveOptions): Promise<void> {
  await compressFrame(Readable.from(tarEntries(options), { objectMode: false }), options, 'w');
  await compressFrame(Readable.from([Buffer.alloc(END_BYTES)], { objectMode: false }), options, 'a');
}
