import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import {
  AppError,
  MANIFEST_ENTRY,
  MAX_MANIFEST_BYTES,
  MAX_PROVENANCE_BYTES,
  type NativeManifest,
  type OpenedPackage,
  PROVENANCE_ENTRY,
} from '@selvedge/contract';
import { layoutOf } from './opened-layout.ts';
import { PackageFolder } from './package-folder.ts';
import { filesOf, mismatch, quote, verifyHead } from './package-head.ts';

export interface UnpackOpenedOptions {
  /** The opened package. */
  source: string;
  /** How long its first two parts are. */
  opened: Pick<OpenedPackage, 'manifestBytes' | 'provenanceBytes'>;
  /** Certificate of the authority whose signer is trusted, PEM. */
  ca: string;
  /** Digest of the manifest, from the desired state. */
  manifestSha256: string;
  /** Must not exist or be empty. */
  destination: string;
  signal?: AbortSignal;
}

const READ_BYTES = 256 * 1024;

/**
 * Checks an opened package as an archive is checked, and writes its files. Nothing of it is written before the manifest's
 * signature held; each file has the size and sha256 that the manifest says; the folder appears when everything held.
 *
 * @throws AppError SIGNATURE_INVALID, ARCHIVE_UNSAFE (user); DIGEST_MISMATCH (operational); CONFLICT (user) when `destination` is
 *   not empty; DISK_FULL; the signal's reason.
 */
export async function unpackOpened(options: UnpackOpenedOptions): Promise<NativeManifest> {
  const { manifestBytes, provenanceBytes } = options.opened;
  if (manifestBytes > MAX_MANIFEST_BYTES || provenanceBytes > MAX_PROVENANCE_BYTES)
    throw new AppError('ARCHIVE_UNSAFE', { message: 'The manifest of the package is too large.' });
  const source = await open(options.source);
  let folder: PackageFolder | undefined;
  try {
    const [manifestText, envelope] = [await readAt(source, 0, manifestBytes), await readAt(source, manifestBytes, provenanceBytes)];
    const { manifest } = verifyHead(manifestText, envelope, options.ca, options.manifestSha256);
    folder = await PackageFolder.begin(options.destination);
    await folder.write(MANIFEST_ENTRY, only(manifestText), false);
    await folder.write(PROVENANCE_ENTRY, only(envelope), false);
    const { offsets } = layoutOf(manifest, manifestBytes, provenanceBytes);
    for (const [path, file] of filesOf(manifest)) {
      options.signal?.throwIfAborted();
      const hash = createHash('sha256');
      await folder.write(
        path,
        piecesOf(source, offsets.get(path) ?? 0, file.sizeBytes, (piece) => hash.update(piece)),
        file.executable,
      );
      const actual = hash.digest('hex');
      if (actual !== file.sha256) throw mismatch(quote(path), file.sha256, actual);
    }
    await folder.commit();
    return manifest;
  } catch (error) {
    await folder?.abandon();
    throw error;
  } finally {
    await source.close();
  }
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) break; // what is missing is found by its digest
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

async function* piecesOf(file: FileHandle, at: number, length: number, see: (piece: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < length; ) {
    const piece = await readAt(file, at + done, Math.min(READ_BYTES, length - done));
    if (piece.length === 0) return;
    see(piece);
    yield piece;
    done += piece.length;
  }
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
