import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, type PackageManifest, packageManifestSchema } from '@selvedge/contract';
import {
  confinePath,
  type DownloadResponse,
  downloadResumable,
  explainDiskError,
  type Logger,
  pathExists,
  sha256File,
  sha256Hex,
  syncFolder,
  systemErrorCode,
  writeFileAtomic,
} from '@selvedge/runtime';
import type { VersionRecord } from '../../domain/agent-state.ts';
import type { VersionStore } from '../../ports/version-store.ts';

const MANIFEST = 'manifest.json';
const PARTIAL = '.partial';
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

export interface DiskVersionStoreOptions {
  /** The `versions` folder; below it `<workload>/<key>/`. */
  root: string;
  /** Opens a blob of the server from a byte on. */
  openBlob: (sha256: string, offset: number, signal: AbortSignal) => Promise<DownloadResponse>;
  /** The CA that signed this device's and the package signer's certificates, PEM. */
  caPem: () => Promise<string>;
  log: Logger;
}

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

  constructor(options: DiskVersionStoreOptions) {
    this.#options = options;
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
  ): Promise<void> {
    const target = this.folder(workload, record.key);
    if (await pathExists(target)) return;
    const { native } = record;
    const partial = `${target}${PARTIAL}`;
    try {
      await mkdir(partial, { recursive: true });
      if (native !== undefined) {
        const { fetchNativeFiles, placeNativeFiles } = await import('./native-files.ts');
        const { openBlob, caPem, log } = this.#options;
        const open = (offset: number) => openBlob(native.archive.sha256, offset, signal);
        await placeNativeFiles(await fetchNativeFiles({ partial, record, native, openBlob: open, caPem, onProgress, signal, log }), target);
        await syncFolder(dirname(target));
        return;
      }
      await this.#fetchFiles(partial, record, onProgress, signal);
      await rename(partial, target);
      await syncFolder(dirname(target));
    } catch (error) {
      throw explainDiskError(error, partial);
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

  async #entries(workload: string): Promise<string[]> {
    try {
      return await readdir(confinePath(this.#options.root, workload));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async #fetchFiles(
    partial: string,
    record: VersionRecord,
    onProgress: (doneBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (record.manifest.sizeBytes > MAX_MANIFEST_BYTES) throw new AppError('PAYLOAD_TOO_LARGE', { message: 'The manifest is too large.' });
    await this.#download(join(partial, MANIFEST), record.manifest, () => undefined, signal);
    const { files } = await readManifest(partial, record);
    const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    let doneBytes = 0;
    for (const file of files) {
      const before = doneBytes;
      await this.#download(confinePath(partial, file.path), file, (done) => onProgress(before + done, totalBytes), signal);
      doneBytes += file.sizeBytes;
      onProgress(doneBytes, totalBytes);
    }
  }

  async #download(
    destination: string,
    file: { sha256: string; sizeBytes: number },
    onProgress: (done: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    // Left by an earlier try: it was verified then, and every file is verified again before it is used.
    if (await pathExists(destination)) return;
    if (file.sizeBytes === 0) {
      await writeFileAtomic(destination, '');
      return;
    }
    await downloadResumable({
      open: (offset) => this.#options.openBlob(file.sha256, offset, signal),
      destination,
      sha256: file.sha256,
      sizeBytes: file.sizeBytes,
      onProgress,
      signal,
      log: this.#options.log,
    });
  }
}
