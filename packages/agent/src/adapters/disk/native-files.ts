import { readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, MANIFEST_ENTRY, type NativeManifest, type NativePackageReference, nativeManifestSchema } from '@selvedge/contract';
import {
  confinePath,
  type DownloadResponse,
  downloadResumable,
  type Logger,
  sha256File,
  sha256Hex,
  systemErrorCode,
} from '@selvedge/runtime';
import type { VersionRecord } from '../../domain/agent-state.ts';

export interface NativeFetch {
  /** Folder that is there and holds what an earlier try left. */
  partial: string;
  record: VersionRecord;
  native: NativePackageReference;
  openBlob: (offset: number) => Promise<DownloadResponse>;
  caPem: () => Promise<string>;
  onProgress: (doneBytes: number, totalBytes: number) => void;
  signal: AbortSignal;
  log: Logger;
}

const ARCHIVE = 'package.tar.zst';
const UNPACKED = 'unpacked';

function damaged(path: string, found: string): AppError {
  return new AppError('DIGEST_MISMATCH', { message: `${path} of the native package is damaged: ${found}.` });
}

function checkIdentity(manifest: NativeManifest, record: VersionRecord, native: NativePackageReference): void {
  const { model, version, target } = manifest;
  if (model === record.model && version === record.version && target === native.target) return;
  throw new AppError('INPUT_INVALID', {
    message: `The native package is ${model} ${version} for ${target}, not ${record.model} ${record.version} for ${native.target}.`,
  });
}

/**
 * Downloads a package's archive, verifies its signature before anything of it is written, and unpacks it.
 *
 * @returns the folder with the unpacked files, inside `partial`.
 * @throws AppError SIGNATURE_INVALID, ARCHIVE_UNSAFE, INPUT_INVALID (user): the archive is thrown away; otherwise as a download does.
 */
export async function fetchNativeFiles(options: NativeFetch): Promise<string> {
  const { partial, record, native, signal } = options;
  const archive = join(partial, ARCHIVE);
  await downloadResumable({
    open: options.openBlob,
    destination: archive,
    sha256: native.archive.sha256,
    sizeBytes: native.archive.sizeBytes,
    onProgress: (done) => options.onProgress(done, native.archive.sizeBytes),
    signal,
    log: options.log,
  });
  const destination = join(partial, UNPACKED);
  await rm(destination, { recursive: true, force: true });
  // Loaded for each new package only: an idle agent does without the unpacker.
  const { verifyPackageArchive } = await import('@selvedge/runtime/package');
  try {
    const expected = { archiveSha256: native.archive.sha256, manifestSha256: native.manifestSha256 };
    const { manifest } = await verifyPackageArchive({ source: archive, ca: await options.caPem(), expected, destination, signal });
    checkIdentity(manifest, record, native);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
  await rm(archive);
  return destination;
}

/** Puts what {@link fetchNativeFiles} unpacked in its place. */
export async function placeNativeFiles(unpacked: string, folder: string): Promise<void> {
  await rename(unpacked, folder);
  await rm(dirname(unpacked), { recursive: true, force: true });
}

/**
 * Hashes every file of an unpacked package again.
 *
 * @throws AppError DIGEST_MISMATCH (operational), INPUT_INVALID (user).
 */
export async function verifyNativeFiles(folder: string, record: VersionRecord, native: NativePackageReference, signal: AbortSignal) {
  const manifest = await readNativeManifest(folder, native);
  checkIdentity(manifest, record, native);
  for (const file of manifest.files) {
    let actual: string;
    try {
      const path = confinePath(folder, file.path);
      const { mode } = await stat(path);
      if (file.executable && (mode & 0o100) === 0) throw damaged(file.path, 'it is not executable');
      actual = await sha256File(path, signal);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') throw damaged(file.path, 'it is missing');
      if (systemErrorCode(error) === 'EIO') throw damaged(file.path, 'the disk cannot read it');
      throw error;
    }
    if (actual !== file.sha256) throw damaged(file.path, `its sha256 is ${actual.slice(0, 12)}…, not ${file.sha256.slice(0, 12)}…`);
  }
}

async function readNativeManifest(folder: string, native: NativePackageReference): Promise<NativeManifest> {
  let bytes: Buffer;
  try {
    bytes = await readFile(join(folder, MANIFEST_ENTRY));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw damaged(MANIFEST_ENTRY, 'it is missing');
    throw error;
  }
  if (sha256Hex(bytes) !== native.manifestSha256) throw damaged(MANIFEST_ENTRY, 'its sha256 differs');
  // Its bytes are the signed ones, which were parsed when the package came.
  const parsed = nativeManifestSchema.safeParse(JSON.parse(bytes.toString('utf8')));
  if (parsed.success) return parsed.data;
  throw new AppError('INPUT_INVALID', { message: 'The native package has a manifest that this agent does not understand.' });
}
