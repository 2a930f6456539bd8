import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  AppError,
  MANIFEST_ENTRY,
  MAX_MANIFEST_BYTES,
  MAX_PROVENANCE_BYTES,
  type NativeManifest,
  PROVENANCE_ENTRY,
  type Provenance,
} from '@selvedge/contract';
import { type Extract, type ExtractEvents, extract } from 'tar-stream';
import { explainDiskError } from '../system-error.ts';
import { PackageFolder } from './package-folder.ts';
import { filesOf, mismatch, type PackageHead, quote, unsafe, verifyHead } from './package-head.ts';
import { checkSeal, type SealedFile } from './seal.ts';
import { signatureInvalid } from './signature.ts';
import { decompressZstd } from './zstd-stream.ts';

export interface VerifyPackageOptions {
  /** The archive: a stream of its bytes, or the path of the file. */
  source: AsyncIterable<Uint8Array> | string;
  /** Certificate of the authority whose signer is trusted, PEM. */
  ca: string;
  /** Digests that are known from elsewhere, e.g. from the desired state. */
  expected?: { archiveSha256?: string; manifestSha256?: string };
  /** Where to unpack to; must not exist or be empty. Nothing is written without it. */
  destination?: string;
  signal?: AbortSignal;
}

export interface VerifiedPackage {
  manifest: NativeManifest;
  provenance: Provenance;
  archive: { sha256: string; sizeBytes: number };
  manifestSha256: string;
  /** The certificate that signed; `fingerprint256` is 64 hexadecimal digits. */
  signer: { subject: string; fingerprint256: string };
}

/** One entry of a tar, as its reader hands it over. */
type Entry = ExtractEvents['entry'][1];

/** tar's headers and padding per entry, and the blocks at its end, with room to spare. */
const ENTRY_OVERHEAD_BYTES = 4096;
const END_OVERHEAD_BYTES = 64 * 1024;

/**
 * Checks a package's archive, and unpacks it when asked to. A stream is kept in a temporary file first: the seal at its end
 * is checked before anything is decompressed.
 *
 * Promises: no byte is decompressed before the seal over the whole archive held, and none of the content is written before
 * the manifest's signature did; only files that the manifest names are written, each with the size and sha256 that it says;
 * the folder appears when everything held, and nothing is left behind otherwise. Memory stays flat: a zstd window and one block.
 *
 * @throws AppError SIGNATURE_INVALID (user); DIGEST_MISMATCH (operational); ARCHIVE_UNSAFE (user) naming the entry;
 * FILE_UNREADABLE (user) when `source` is a path that cannot be read; CONFLICT (user) when `destination` is not empty; DISK_FULL.
 */
export async function verifyPackageArchive(options: VerifyPackageOptions): Promise<VerifiedPackage> {
  const { source, ca, destination, signal, expected } = options;
  const spool = typeof source === 'string' ? undefined : await mkdtemp(join(tmpdir(), 'selvedge-package-'));
  let folder: PackageFolder | undefined;
  try {
    const path = typeof source === 'string' ? source : await keep(source, join(spool ?? '', 'archive'), signal);
    const sealed = await checkSeal(path, ca, signal);
    const wanted = expected?.archiveSha256;
    if (wanted !== undefined && wanted !== sealed.archive.sha256) throw mismatch('the archive', wanted, sealed.archive.sha256);
    if (destination !== undefined) folder = await PackageFolder.begin(destination);
    const verified = await new Verification(options, path, sealed, folder).run();
    await folder?.commit();
    return verified;
  } catch (error) {
    await folder?.abandon();
    throw error;
  } finally {
    if (spool !== undefined) await rm(spool, { recursive: true, force: true });
  }
}

async function keep(source: AsyncIterable<Uint8Array>, path: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    await pipeline(source, createWriteStream(path), signal === undefined ? {} : { signal });
  } catch (error) {
    throw explainDiskError(error, path);
  }
  return path;
}

class Verification {
  readonly #options: VerifyPackageOptions;
  readonly #path: string;
  readonly #sealed: SealedFile;
  readonly #folder: PackageFolder | undefined;
  /** Of what is read now, to be compared with what the seal was checked on. */
  readonly #content = createHash('sha256');
  /** Most that the archive may decompress to; known exactly once the manifest is. */
  #limitBytes = MAX_MANIFEST_BYTES + MAX_PROVENANCE_BYTES + END_OVERHEAD_BYTES;

  constructor(options: VerifyPackageOptions, path: string, sealed: SealedFile, folder: PackageFolder | undefined) {
    this.#options = options;
    this.#path = path;
    this.#sealed = sealed;
    this.#folder = folder;
  }

  async run(): Promise<VerifiedPackage> {
    const entries = extract();
    const { signal } = this.#options;
    const feeding = pipeline(Readable.from(this.#decompressed(), { objectMode: false }), entries, signal === undefined ? {} : { signal });
    // a fault in what is fed explains more than the broken entry that it causes, so it is the one that is told
    const fed = feeding.then(
      () => undefined,
      (error: unknown) => error,
    );
    let head: PackageHead;
    try {
      head = await this.#readEntries(entries);
    } catch (error) {
      entries.destroy();
      throw causeOf(await fed) ?? tarFault(error);
    }
    await feeding;
    return this.#finish(head);
  }

  async *#decompressed(): AsyncGenerator<Uint8Array> {
    let total = 0;
    for await (const chunk of decompressZstd(this.#sealedBytes())) {
      total += chunk.length;
      if (total > this.#limitBytes) throw unsafe('The archive unpacks to more than its manifest says.');
      yield chunk;
    }
  }

  async *#sealedBytes(): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(this.#path, { end: this.#sealed.contentBytes - 1 })) {
      const bytes: Uint8Array = chunk;
      this.#content.update(bytes);
      yield bytes;
    }
  }

  async #readEntries(entries: Extract): Promise<PackageHead> {
    let manifestBytes: Buffer | undefined;
    let head: PackageHead | undefined;
    let missing = new Map<string, NativeManifest['files'][number]>();
    for await (const entry of entries) {
      const { name, type } = entry.header;
      if (type !== 'file') throw unsafe(`Entry ${quote(name)} is not a plain file.`);
      if (manifestBytes === undefined) manifestBytes = await readHeadEntry(entry, MANIFEST_ENTRY, MAX_MANIFEST_BYTES);
      else if (head === undefined) {
        const envelope = await readHeadEntry(entry, PROVENANCE_ENTRY, MAX_PROVENANCE_BYTES);
        head = verifyHead(manifestBytes, envelope, this.#options.ca, this.#options.expected?.manifestSha256);
        missing = filesOf(head.manifest);
        for (const file of missing.values()) this.#limitBytes += file.sizeBytes + ENTRY_OVERHEAD_BYTES;
        await this.#folder?.write(MANIFEST_ENTRY, iterate(manifestBytes), false);
        await this.#folder?.write(PROVENANCE_ENTRY, iterate(envelope), false);
      } else {
        await this.#takeFile(entry, missing.get(name));
        missing.delete(name);
      }
    }
    if (head === undefined) throw signatureInvalid('The archive has no signed manifest.');
    const [first] = missing.keys();
    if (first !== undefined) throw unsafe(`File ${quote(first)} of the manifest is missing.`);
    return head;
  }

  async #takeFile(entry: Entry, file: NativeManifest['files'][number] | undefined): Promise<void> {
    const { name, size } = entry.header;
    if (file === undefined) throw unsafe(`Entry ${quote(name)} is not in the manifest, or is there twice.`);
    if (size !== file.sizeBytes)
      throw new AppError('DIGEST_MISMATCH', { message: `File ${quote(name)} has ${size} bytes; its manifest says ${file.sizeBytes}.` });
    const hash = createHash('sha256');
    async function* hashed(): AsyncGenerator<Uint8Array> {
      for await (const chunk of contentOf(entry)) {
        hash.update(chunk);
        yield chunk;
      }
    }
    if (this.#folder === undefined) for await (const _chunk of hashed());
    else await this.#folder.write(name, hashed(), file.executable);
    const actual = hash.digest('hex');
    if (actual !== file.sha256) throw mismatch(name, file.sha256, actual);
  }

  #finish({ manifest, provenance, manifestSha256, certificate }: PackageHead): VerifiedPackage {
    if (this.#content.digest('hex') !== this.#sealed.contentSha256) throw signatureInvalid('The archive was changed while it was read.');
    if (certificate.fingerprint256 !== this.#sealed.certificate.fingerprint256)
      throw signatureInvalid('The archive was sealed by another signer than its manifest.');
    return {
      manifest,
      provenance,
      archive: this.#sealed.archive,
      manifestSha256,
      signer: { subject: certificate.subject, fingerprint256: certificate.fingerprint256.replaceAll(':', '').toLowerCase() },
    };
  }
}

async function* contentOf(entry: Entry): AsyncGenerator<Uint8Array> {
  for await (const chunk of entry) {
    if (chunk instanceof Uint8Array) yield chunk;
  }
}

async function readHeadEntry(entry: Entry, name: string, maxBytes: number): Promise<Buffer> {
  const { header } = entry;
  if (header.name !== name) throw signatureInvalid(`The archive does not begin as a package does: ${quote(name)} is not where it must be.`);
  if (header.size > maxBytes) throw unsafe(`Entry ${quote(name)} is larger than ${maxBytes} bytes.`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of contentOf(entry)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* iterate(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The error that made the feeding end; its mere breaking off, because the reader gave up, is none. */
function causeOf(error: unknown): unknown {
  if (error instanceof AppError || (error instanceof Error && error.name === 'AbortError')) return error;
  return undefined;
}

/** What the tar reader refuses is a fault of the archive; what the disk refuses is not. */
function tarFault(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const disk = explainDiskError(error, 'the package');
  if (disk !== error || (error instanceof Error && 'syscall' in error)) return disk;
  return new AppError('ARCHIVE_UNSAFE', { message: 'The archive is damaged: its tar headers cannot be read.' }, { cause: error });
}
