import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { ZipFile } from 'yazl';

/** Fixed, so that the same files always give the same zip. */
const ENTRY_TIME = new Date('2000-01-01T00:00:00Z');

/**
 * A zip of files, streamed while it is read; stored, not compressed: pictures and tensors gain little, and the next tool
 * is on the same machine.
 */
export function zipFiles(root: string, paths: readonly string[]): Readable {
  const zip = new ZipFile();
  for (const path of paths) zip.addFile(join(root, path), path, { compress: false, mtime: ENTRY_TIME, mode: 0o100644 });
  zip.end();
  const stream = new PassThrough();
  zip.outputStream.pipe(stream);
  zip.on('error', (error: Error) => stream.destroy(error));
  return stream;
}
