import { appendFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  AppError,
  type DeltaOffer,
  MAX_DELTA_BASES,
  type NativePackageReference,
  type PackageManifest,
  packageManifestSchema,
  type TransferCounts,
  transferCountsSchema,
} from '@selvedge/contract';
import {
  confinePath,
  type DownloadResponse,
  explainDiskError,
  type Logger,
  pathExists,
  sha256File,
  sha256Hex,
  syncFolder,
  systemErrorCode,
} from '@selvedge/runtime';
import * as z from 'zod';
import type { VersionRecord } from '../../domain/agent-state.ts';
import type { VersionStore } from '../../ports/version-store.ts';
import type { PatchRequest } from '../process/run-patcher.ts';
import { type FetchedBytes, FileFetcher } from './file-fetcher.ts';
import { PatchFetcher } from './patch-fetcher.ts';
import { filesOnDisk, packagesOnDisk } from './versions-on-disk.ts';

const MANIFEST = 'manifest.json';
const PARTIAL = '.partial';
/** What the files of a version that is being fetched have cost, a line for each; no file of a package begins with a dot. */
const COSTS = '.costs';
/** Patches on their way. */
const PATCHES = '.patches';
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

export interface DiskVersionStoreOptions {
  /** The `versions` folder; below it `<workload>/<key>/`. */
  root: string;
  /** Opens a blob of the server from a byte on. */
  openBlob: (sha256: string, offset: number, signal: AbortSignal) => Promise<DownloadResponse>;
  /** Asks the server for a patch against one of these; undefined when it has none. */
  askDelta: (sha256: string, from: readonly string[], signal: AbortSignal) => Promise<DeltaOffer | undefined>;
  /** The same of native packages, which are named by the digests of their manifests. */
  askPackageDelta: (native: NativePackageReference, from: readonly string[], signal: AbortSignal) => Promise<DeltaOffer | undefined>;
  /** Makes a file by a patch, verified. */
  applyDelta: (request: PatchRequest) => Promise<void>;
  /** The CA that signed this device's and the package signer's certificates, PEM. */
  caPem: () => Promise<string>;
  /** Throws when so many bytes do not fit; asked before they are fetched. */
  needRoom?: (bytes: number) => Promise<void>;
  log: Logger;
}

const costSchema = z.tuple([z.string(), transferCountsSchema.omit({ wholeBytes: true })]);

const isComplete = (key: string): boolean => !key.endsWith(PARTIAL);

function mismatch(path: string, found: string): AppError {
  return new AppError('DIGEST_MISMATCH', { message: `${path} of the package is damaged: ${found}.` });
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined; // refused by the schema, with its message
  }
}

/** Reads the manifest of a folder; its bytes must be the ones that the desired state names. */
async function readManifest(folder: string, record: VersionRecord): Promise<PackageManifest> {
  let bytes: Buffer;
  try {
    const { size } = await stat(join(folder, MANIFEST));
    if (size !== record.manifest.sizeBytes) throw mismatch(MANIFEST, `${size} bytes instead of ${record.manifest.sizeBytes}`);
    bytes = await readFile(join(folder, MANIFEST));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw mismatch(MANIFEST, 'it is missing');
    throw error;
  }
  if (sha256Hex(bytes) !== record.manifest.sha256) throw mismatch(MANIFEST, 'its sha256 differs');
  const parsed = packageManifestSchema.safeParse(parseJson(bytes));
  if (!parsed.success) throw new AppError('INPUT_INVALID', { message: 'The package has a manifest that this agent does not understand.' });
  const { model, version, files } = parsed.data;
  if (model !== record.model || version !== record.version) {
    throw new AppError('INPUT_INVALID', { message: `The package is ${model} ${version}, not ${record.model} ${record.version}.` });
  }
  if (files.some((file) => file.path === MANIFEST))
    throw new AppError('INPUT_INVALID', { message: `The package lists ${MANIFEST} as a file.` });
  return parsed.data;
}

/** Versions in folders: fetched into `<key>.partial/`, checked file by file, then renamed. */
export class DiskVersionStore implements VersionStore {
  readonly #options: DiskVersionStoreOptions;
  readonly #patches: PatchFetcher;
  readonly #fetcher: FileFetcher;

  constructor(options: DiskVersionStoreOptions) {
    this.#options = options;
    this.#patches = new PatchFetcher(options);
    this.#fetcher = new FileFetcher(options, this.#patches);
  }

  folder(workload: string, key: string): string {
    return confinePath(this.#options.root, `${workload}/${key}`);
  }

  async list(workload: string): Promise<string[]> {
    const entries = await this.#entries(workload);
    return entries.filter((name) => !name.endsWith(PARTIAL));
  }

  async fetch(
    workload: string,
    record: VersionRecord,
    onProgress: (doneBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<TransferCounts | undefined> {
    const target = this.folder(workload, record.key);
    if (await pathExists(target)) return undefined;
    const { native } = record;
    const partial = `${target}${PARTIAL}`;
    try {
      await mkdir(partial, { recursive: true });
      if (native !== undefined) {
        const { fetchNativeFiles, placeNativeFiles } = await import('./native-files.ts');
        const known = await packagesOnDisk(this.#options.root, workload, isComplete, MAX_DELTA_BASES);
        const needRoom = async (bytes: number) => this.#options.needRoom?.(bytes);
        const given = { ...this.#options, partial, record, native, known, patches: this.#patches, needRoom, onProgress, signal };
        const { unpacked, cost } = await fetchNativeFiles(given);
        await placeNativeFiles(unpacked, target);
        await syncFolder(dirname(target));
        return cost;
      }
      const counts = await this.#fetchFiles(workload, partial, record, onProgress, signal);
      for (const name of [COSTS, PATCHES]) await rm(join(partial, name), { recursive: true, force: true });
      await rename(partial, target);
      await syncFolder(dirname(target));
      return counts;
    } catch (thrown) {
      const error = explainDiskError(thrown, partial);
      // A part that fills the disk is in the way of all that serves; it is fetched again when there is space for the whole.
      if (error instanceof AppError && error.code === 'DISK_FULL') await rm(partial, { recursive: true, force: true });
      throw error;
    }
  }

  async verify(workload: string, record: VersionRecord, signal: AbortSignal): Promise<void> {
    const folder = this.folder(workload, record.key);
    if (record.native !== undefined) {
      const { verifyNativeFiles } = await import('./native-files.ts');
      return verifyNativeFiles(folder, record, record.native, signal);
    }
    const manifest = await readManifest(folder, record);
    for (const file of manifest.files) {
      let actual: string;
      try {
        actual = await sha256File(confinePath(folder, file.path), signal);
      } catch (error) {
        if (systemErrorCode(error) === 'ENOENT') throw mismatch(file.path, 'it is missing');
        if (systemErrorCode(error) === 'EIO') throw mismatch(file.path, 'the disk cannot read it');
        throw error;
      }
      if (actual !== file.sha256) throw mismatch(file.path, `its sha256 is ${actual.slice(0, 12)}…, not ${file.sha256.slice(0, 12)}…`);
    }
  }

  async collect(workload: string, key: string): Promise<void> {
    const folder = this.folder(workload, key);
    await rm(`${folder}${PARTIAL}`, { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  }

  async sweep(workload: string, keep: readonly string[]): Promise<void> {
    for (const name of await this.#entries(workload)) {
      const key = name.endsWith(PARTIAL) ? name.slice(0, -PARTIAL.length) : name;
      if (!keep.includes(key)) await this.collect(workload, key);
    }
    if (keep.length === 0) await rm(confinePath(this.#options.root, workload), { recursive: true, force: true });
  }

  /** What an earlier try has left counts as used already. */
  async #presentBytes(folder: string): Promise<number> {
    return (await import('./disk-use.ts')).folderBytes(folder);
  }

  async #entries(workload: string): Promise<string[]> {
    try {
      return await readdir(confinePath(this.#options.root, workload));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async #fetchFiles(
    workload: string,
    partial: string,
    record: VersionRecord,
    onProgress: (doneBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<TransferCounts> {
    if (record.manifest.sizeBytes > MAX_MANIFEST_BYTES) throw new AppError('PAYLOAD_TOO_LARGE', { message: 'The manifest is too large.' });
    const manifest = { path: MANIFEST, ...record.manifest, destination: join(partial, MANIFEST), scratch: join(partial, PATCHES) };
    if (!(await pathExists(manifest.destination))) await this.#fetcher.fetch(manifest, [], () => undefined, signal);
    const { files } = await readManifest(partial, record);
    const known = await filesOnDisk(this.#options.root, workload, isComplete);
    const costs = await readCosts(join(partial, COSTS));
    const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    await this.#options.needRoom?.(totalBytes - (await this.#presentBytes(partial)));
    let doneBytes = 0;
    for (const file of files) {
      const before = doneBytes;
      const wanted = { ...file, destination: confinePath(partial, file.path), scratch: join(partial, PATCHES) };
      // Left by an earlier try: it was verified then, and every file is verified again before it is used.
      if (!(await pathExists(wanted.destination))) {
        const cost = await this.#fetcher.fetch(wanted, known, (done) => onProgress(before + done, totalBytes), signal);
        costs.set(file.path, cost);
        await appendFile(join(partial, COSTS), `${JSON.stringify([file.path, cost])}\n`);
      }
      doneBytes += file.sizeBytes;
      onProgress(doneBytes, totalBytes);
    }
    return sumOf(record.manifest.sizeBytes, files, costs);
  }
}

/** By path. A line that a crash has cut is left out; its file then counts as fetched whole. */
async function readCosts(path: string): Promise<Map<string, FetchedBytes>> {
  const costs = new Map<string, FetchedBytes>();
  const text = await readFile(path, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const parsed = costSchema.safeParse(parseJson(Buffer.from(line)));
    if (parsed.success) costs.set(...parsed.data);
  }
  return costs;
}

function sumOf(manifestBytes: number, files: PackageManifest['files'], costs: ReadonlyMap<string, FetchedBytes>): TransferCounts {
  const sum = { wholeBytes: manifestBytes, fetchedBytes: manifestBytes, sharedBytes: 0, patchedBytes: 0 };
  for (const { path, sizeBytes } of files) {
    const cost = costs.get(path) ?? { fetchedBytes: sizeBytes, sharedBytes: 0, patchedBytes: 0 };
    sum.wholeBytes += sizeBytes;
    sum.fetchedBytes += cost.fetchedBytes;
    sum.sharedBytes += cost.sharedBytes;
    sum.patchedBytes += cost.patchedBytes;
  }
  return sum;
}
