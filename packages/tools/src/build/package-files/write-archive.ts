import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer as readAll } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { AppError, type NativeManifest } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';
import { type Compiler, cachedBytes } from '@selvedge/toolchain';
import { pack } from 'tar-stream';

/** tar ends with two blocks of zeros. */
const END_BYTES = 1024;
const MAX_MESSAGE = 2000;

const COMPRESS = ['-19', '--no-progress', '-T1', '-c', '-q'];
/** As long as the window of level 19: a frame of its own for each costs about one percent, and all cores work. */
const PIECE_BYTES = 8 * 1024 * 1024;
/** Libraries from this size on begin a frame: they are the same in every package of a target, and are compressed once. */
const SHARED_BYTES = 512 * 1024;
const MAX_PROCESSES = 8;

export interface ArchiveOptions {
  /** Folder with the files of the manifest. */
  readonly folder: string;
  readonly files: NativeManifest['files'];
  /** Whose zstd is used. */
  readonly compiler: Compiler;
  /** Folder of compiled objects, where compressed libraries are kept too. */
  readonly cacheDir: string;
  readonly output: string;
  readonly signal: AbortSignal;
  /** @param fraction - 0..1 of the bytes. */
  progress(fraction: number): void;
}

type PackageFile = NativeManifest['files'][number];

/** Bytes of the archive that become one frame. */
interface Piece {
  readonly bytes: Buffer;
  readonly isShared: boolean;
}

const isShared = ({ path, sizeBytes }: PackageFile) => path.startsWith('lib/') && sizeBytes >= SHARED_BYTES;

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

/** The tar entries of files, with nothing in them but path, size and permissions. */
async function* tarEntries({ folder, signal }: ArchiveOptions, files: readonly PackageFile[]): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const addAll = async () => {
    for (const { path, sizeBytes, executable } of files) {
      const entry = tar.entry({
        name: path,
        size: sizeBytes,
        mode: executable ? 0o755 : 0o644,
        mtime: new Date(0),
        uid: 0,
        gid: 0,
        uname: '',
        gname: '',
        type: 'file',
      });
      await pipeline(createReadStream(join(folder, path)), entry, { signal });
    }
    tar.finalize();
  };
  const adding = addAll().catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  yield* withoutEnd(Readable.from(tar));
  await adding;
}

/** Neighbours in the archive that are compressed together: a large library alone, what lies between two of them. */
function groupFiles(files: readonly PackageFile[]): PackageFile[][] {
  const groups: PackageFile[][] = [];
  let open: PackageFile[] | undefined;
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    if (open === undefined || isShared(file)) {
      open = [];
      groups.push(open);
    }
    open.push(file);
    if (isShared(file)) open = undefined;
  }
  return groups;
}

async function* cut(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = [];
  let length = 0;
  for await (let chunk of chunks) {
    while (length + chunk.length >= PIECE_BYTES) {
      const taken = PIECE_BYTES - length;
      yield Buffer.concat([...held, chunk.subarray(0, taken)]);
      chunk = chunk.subarray(taken);
      held = [];
      length = 0;
    }
    held.push(chunk);
    length += chunk.length;
  }
  if (length > 0) yield Buffer.concat(held);
}

async function* piecesOf(options: ArchiveOptions): AsyncGenerator<Piece> {
  for (const files of groupFiles(options.files)) {
    for await (const bytes of cut(tarEntries(options, files))) yield { bytes, isShared: files.every(isShared) };
  }
  yield { bytes: Buffer.alloc(END_BYTES), isShared: false };
}

/** Compresses to one zstd frame: one thread and a fixed level, so that the same bytes come out. */
async function compress(bytes: Uint8Array, zstd: string, signal: AbortSignal): Promise<Buffer> {
  const child = spawn(zstd, COMPRESS, { stdio: ['pipe', 'pipe', 'pipe'], env: {} });
  let message = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    message = (message + text).slice(0, MAX_MESSAGE);
  });
  const ended = once(child, 'close', { signal });
  try {
    const [frame] = await Promise.all([readAll(child.stdout), pipeline(Readable.from([bytes]), child.stdin, { signal })]);
    const [exitCode]: (number | null)[] = await ended;
    if (exitCode !== 0) throw new AppError('BUILD_FAILED', { message: `zstd ended with ${exitCode}: ${message.trim()}` });
    return frame;
  } catch (error) {
    child.kill('SIGKILL');
    await ended.catch(() => undefined); // the error above says more
    signal.throwIfAborted();
    throw error;
  }
}

/**
 * Writes files.tar.zst: frames with the entries of all files, and one with the end of the archive, so that frames with
 * further entries can be put in front. Same files, same bytes, whether frames of libraries were kept from before or not.
 *
 * @throws AppError BUILD_FAILED when zstd fails; the signal's reason.
 */
export async function writeArchive(options: ArchiveOptions): Promise<void> {
  const { compiler, cacheDir, output, signal, progress } = options;
  const total = options.files.reduce((sum, file) => sum + file.sizeBytes, 0) || 1;
  let done = 0;
  const frameOf = async ({ bytes, isShared }: Piece) => {
    const make = () => compress(bytes, compiler.zstd, signal);
    const key = () => sha256Hex(JSON.stringify([compiler.digest, COMPRESS, sha256Hex(bytes)]));
    const frame = isShared ? await cachedBytes(cacheDir, key(), make) : await make();
    done += bytes.length;
    progress(Math.min(1, done / total));
    return frame;
  };
  const concurrency = Math.min(MAX_PROCESSES, availableParallelism());
  const frames = Readable.from(piecesOf(options), { objectMode: true }).map(frameOf, { concurrency, signal });
  await pipeline(frames, createWriteStream(output), { signal });
}
