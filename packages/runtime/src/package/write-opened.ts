import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  AppError,
  MANIFEST_ENTRY,
  MAX_MANIFEST_BYTES,
  MAX_PROVENANCE_BYTES,
  type OpenedPackage,
  PROVENANCE_ENTRY,
} from '@selvedge/contract';
import { type ExtractEvents, extract } from 'tar-stream';
import { sha256File } from '../digest.ts';
import { layoutOf, parseNativeManifest } from './opened-layout.ts';
import { quote, unsafe } from './package-head.ts';
import { contentBytesOf } from './seal.ts';
import { decompressZstd } from './zstd-stream.ts';

/** Making a patch takes one and a half times this in memory. */
const MAX_OPENED_BYTES = 256 * 1024 * 1024;
/** Headers and padding of the tar. */
const OVERHEAD_BYTES = 16 * 1024 * 1024;

type Entry = ExtractEvents['entry'][1];

/**
 * Writes an archive as opened package (see `layoutOf`). Its signature is not looked at: it must be one that was verified.
 *
 * @throws AppError ARCHIVE_UNSAFE, SIGNATURE_INVALID (user) when it is no archive as we make them; PAYLOAD_TOO_LARGE (user) above 256 MiB.
 */
export async function writeOpened(archive: string, destination: string): Promise<OpenedPackage> {
  const end = (await contentBytesOf(archive)) - 1;
  const file = await open(destination, 'w+');
  try {
    const sizes = await takeEntries(createReadStream(archive, { end }), new OpenedWriter(file));
    return { ...sizes, sha256: await sha256File(destination) };
  } finally {
    await file.close();
  }
}

async function takeEntries(content: AsyncIterable<Uint8Array>, writer: OpenedWriter): Promise<Omit<OpenedPackage, 'sha256'>> {
  const entries = extract();
  // Nothing may be waited for between this and the reading: an entry that comes before anybody listens is lost.
  const feeding = pipeline(Readable.from(bounded(decompressZstd(content)), { objectMode: false }), entries);
  // a fault in what is fed explains more than the broken entry that it causes
  const fed = feeding.then(
    () => undefined,
    (error: unknown) => error,
  );
  try {
    const sizes = await writer.takeAll(entries);
    await feeding;
    return sizes;
  } catch (error) {
    entries.destroy();
    const cause = await fed;
    throw cause instanceof AppError ? cause : error;
  }
}

async function* bounded(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > MAX_OPENED_BYTES + OVERHEAD_BYTES)
      throw new AppError('PAYLOAD_TOO_LARGE', { message: 'The package is too large to be patched.' });
    yield chunk;
  }
}

/** Puts every entry where the manifest, which comes first, has it. */
class OpenedWriter {
  readonly #file: FileHandle;
  #offsets: ReadonlyMap<string, number> = new Map();

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async takeAll(entries: AsyncIterable<Entry>): Promise<Omit<OpenedPackage, 'sha256'>> {
    let manifestBytes: number | undefined;
    let layout: Omit<OpenedPackage, 'sha256'> | undefined;
    for await (const entry of entries) {
      if (manifestBytes === undefined) manifestBytes = await this.#takeHead(entry, MANIFEST_ENTRY, 0, MAX_MANIFEST_BYTES);
      else if (layout === undefined) {
        const provenanceBytes = await this.#takeHead(entry, PROVENANCE_ENTRY, manifestBytes, MAX_PROVENANCE_BYTES);
        const manifest = Buffer.alloc(manifestBytes);
        await this.#file.read(manifest, 0, manifestBytes, 0);
        const { offsets, sizeBytes } = layoutOf(parseNativeManifest(manifest), manifestBytes, provenanceBytes);
        this.#offsets = offsets;
        layout = { sizeBytes, manifestBytes, provenanceBytes };
      } else {
        const at = this.#offsets.get(entry.header.name);
        if (at === undefined) throw unsafe(`Entry ${quote(entry.header.name)} is not in the manifest.`);
        await this.#write(entry, at);
      }
    }
    if (layout === undefined) throw unsafe('The archive has no manifest.');
    return layout;
  }

  async #takeHead(entry: Entry, name: string, at: number, maxBytes: number): Promise<number> {
    if (entry.header.name !== name || (entry.header.size ?? 0) > maxBytes) throw unsafe(`Entry ${quote(name)} is not where it must be.`);
    return this.#write(entry, at);
  }

  async #write(entry: Entry, at: number): Promise<number> {
    let done = 0;
    for await (const bytes of entry) {
      if (!(bytes instanceof Uint8Array)) continue;
      for (let from = 0; from < bytes.length; )
        from += (await this.#file.write(bytes, from, bytes.length - from, at + done + from)).bytesWritten;
      done += bytes.length;
    }
    return done;
  }
}
