import { Readable } from 'node:stream';
import { type Extract, extract, type Header } from 'tar-stream';

export interface TarEntry {
  /** As the archive says it: nothing of it is checked. */
  readonly header: Header;
  /** To be read before the next entry is asked for; what is left of it then is passed over. */
  readonly content: Readable;
}

/**
 * The entries of an uncompressed tar, one at a time. Reading stops, and the source is let go, when the caller leaves the loop.
 *
 * @throws whatever the source throws, or an Error without a system's code when the tar is damaged.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, undefined> {
  const tar = extract();
  tar.on('error', ignored);
  const feeding = feed(tar, source);
  feeding.catch(ignored); // the loop below meets the same failure
  try {
    for await (const entry of tar) {
      entry.on('error', ignored);
      yield { header: entry.header, content: Readable.from(entry) };
      entry.resume(); // of an entry that was left out
    }
    await feeding;
  } finally {
    tar.destroy();
  }
}

/** Errors reach the loop that reads; as events without a listener they would end the process. */
function ignored(): void {}

/** Writes into the tar reader by hand: it is not one of Node's own streams. */
async function feed(tar: Extract, source: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of source) {
      if (tar.destroyed) return;
      if (!tar.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))) await drained(tar);
    }
    tar.end(null);
  } catch (error) {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

function drained(tar: Extract): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      tar.off('drain', done);
      tar.off('close', done);
      resolve();
    };
    tar.on('drain', done);
    tar.on('close', done);
  });
}
