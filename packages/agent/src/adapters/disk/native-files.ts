import { readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  AppError,
  type DeltaOffer,
  MANIFEST_ENTRY,
  type NativeManifest,
  type NativePackageReference,
  nativeManifestSchema,
  PACKAGE_DELTA_FORMAT,
  type TransferCounts,
  toAppError,
} from '@selvedge/contract';
import {
  confinePath,
  type DownloadResponse,
  downloadResumable,
  type Logger,
  pathExists,
  sha256File,
  sha256Hex,
  systemErrorCode,
} from '@selvedge/runtime';
import type { VersionRecord } from '../../domain/agent-state.ts';
import type { PatchRequest } from '../process/run-patcher.ts';
import { folderBytes } from './disk-use.ts';
import type { PatchFetcher } from './patch-fetcher.ts';
import type { KnownPackage } from './versions-on-disk.ts';

export interface NativeFetch {
  /** Folder that is there and holds what an earlier try left. */
  partial: string;
  record: VersionRecord;
  native: NativePackageReference;
  /** Native packages on disk, the likeliest base of a patch first. */
  known: readonly KnownPackage[];
  patches: PatchFetcher;
  openBlob: (sha256: string, offset: number, signal: AbortSignal) => Promise<DownloadResponse>;
  /** Asks the server for a patch between packages, which are named by the digests of their manifests. */
  askPackageDelta: (native: NativePackageReference, from: readonly string[], signal: AbortSignal) => Promise<DeltaOffer | undefined>;
  applyDelta: (request: PatchRequest) => Promise<void>;
  caPem: () => Promise<string>;
  /** Throws when so many bytes do not fit. */
  needRoom: (bytes: number) => Promise<void>;
  onProgress: (doneBytes: number, totalBytes: number) => void;
  signal: AbortSignal;
  log: Logger;
}

const ARCHIVE = 'package.tar.zst';
const UNPACKED = 'unpacked';
/** Patches on their way. */
const PATCHES = '.patches';
/** An archive and what is unpacked of it lie side by side; it is of compressed weights, mostly. */
const UNPACKED_SIZE = 2.5;

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
 * Gets a package's files, by a patch to those of another package or from its archive, and verifies its signature before
 * anything of it is written.
 *
 * @returns the folder with the files, inside `partial`, and what they have cost.
 * @throws AppError SIGNATURE_INVALID, ARCHIVE_UNSAFE, INPUT_INVALID (user): the archive is thrown away; otherwise as a download does.
 */
export async function fetchNativeFiles(options: NativeFetch): Promise<{ unpacked: string; cost: TransferCounts }> {
  const { partial, native } = options;
  const unpacked = join(partial, UNPACKED);
  await rm(unpacked, { recursive: true, force: true });
  const wholeBytes = native.archive.sizeBytes;
  const spent = await patchFiles(options, unpacked);
  if (spent.isDone) return { unpacked, cost: { wholeBytes, fetchedBytes: spent.bytes, sharedBytes: 0, patchedBytes: wholeBytes } };
  await options.needRoom(wholeBytes * UNPACKED_SIZE - (await folderBytes(partial)));
  await fetchArchive(options, unpacked);
  return { unpacked, cost: { wholeBytes, fetchedBytes: spent.bytes + wholeBytes, sharedBytes: 0, patchedBytes: 0 } };
}

/** What another package on disk becomes by a patch is checked as an archive is, but for its seal, which is of the compressed form. */
async function patchFiles(options: NativeFetch, destination: string): Promise<{ isDone: boolean; bytes: number }> {
  const { partial, record, native, known, signal } = options;
  const none = { isDone: false, bytes: 0 };
  // what has come of the archive already is gone on with
  if (known.length === 0 || (await pathExists(join(partial, `${ARCHIVE}.part`))) || (await pathExists(join(partial, ARCHIVE)))) return none;
  const offer = await askFor(options);
  const base = known.find(({ sha256 }) => sha256 === offer?.from);
  const opened = offer?.opened;
  if (offer === undefined || opened === undefined || base === undefined) return none;
  const wanted = { path: native.package, sizeBytes: native.archive.sizeBytes, scratch: join(partial, PATCHES) };
  const result = join(wanted.scratch, 'result');
  const use = async (patch: string) => {
    const { unpackOpened } = await import('@selvedge/runtime/package');
    const { sha256, sizeBytes } = opened;
    try {
      await options.needRoom(sizeBytes * 2);
      await options.applyDelta({ base: base.folder, patch, destination: result, sha256, sizeBytes, signal });
      const { manifestSha256 } = native;
      const manifest = await unpackOpened({ source: result, opened, ca: await options.caPem(), manifestSha256, destination, signal });
      checkIdentity(manifest, record, native);
    } finally {
      await rm(result, { force: true });
    }
  };
  return options.patches.fetch(wanted, offer.patch, use, (done) => options.onProgress(done, wanted.sizeBytes), signal);
}

async function askFor({ native, known, askPackageDelta, signal, log }: NativeFetch): Promise<DeltaOffer | undefined> {
  try {
    const from = known.map(({ sha256 }) => sha256);
    const offer = await askPackageDelta(native, from, signal);
    return offer?.format === PACKAGE_DELTA_FORMAT && offer.patch.sizeBytes < native.archive.sizeBytes ? offer : undefined;
  } catch (error) {
    signal.throwIfAborted();
    log.debug('no patch could be asked for', { path: native.package, error: toAppError(error).message });
    return undefined;
  }
}

async function fetchArchive(options: NativeFetch, destination: string): Promise<void> {
  const { partial, record, native, signal } = options;
  const archive = join(partial, ARCHIVE);
  await downloadResumable({
    open: (offset) => options.openBlob(native.archive.sha256, offset, signal),
    destination: archive,
    sha256: native.archive.sha256,
    sizeBytes: native.archive.sizeBytes,
    onProgress: (done) => options.onProgress(done, native.archive.sizeBytes),
    signal,
    log: options.log,
  });
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
