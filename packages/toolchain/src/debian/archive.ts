import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { sha256Hex, writeFileAtomic } from '@selvedge/runtime';
import { type IndexedFile, type Paragraph, parseControl, parseDigestLines } from './control-file.ts';
import { decompressText } from './decompress.ts';
import type { Mirror } from './mirror.ts';
import { findSources, PackageIndex, type SourceFile } from './package-index.ts';
import { verifiedText } from './signature.ts';

const MAX_RELEASE_BYTES = 4 * 1024 * 1024;
const MAX_INDEX_BYTES = 512 * 1024 * 1024;

export interface ReleaseFacts {
  readonly suite: string;
  /** Its Date field, ISO 8601. */
  readonly date: string;
  readonly sha256: string;
}

export interface ArchiveOptions {
  mirror: Mirror;
  suite: string;
  component: string;
  /** OpenPGP keys that may sign the suite, armoured. */
  keyringPath: string;
  /** Where indexes are kept, by digest. */
  cacheDir: string;
  signal?: AbortSignal;
}

/** A suite whose signature was verified: everything that it hands out is named by a digest that the signature covers. */
export class SignedArchive {
  readonly release: ReleaseFacts;
  readonly #files: ReadonlyMap<string, IndexedFile>;
  readonly #options: ArchiveOptions;

  private constructor(options: ArchiveOptions, release: ReleaseFacts, files: ReadonlyMap<string, IndexedFile>) {
    this.#options = options;
    this.release = release;
    this.#files = files;
  }

  /**
   * Fetches and verifies the suite's InRelease.
   *
   * @throws AppError SIGNATURE_INVALID (user), DOWNLOAD_FAILED, NOT_FOUND.
   */
  static async open(options: ArchiveOptions): Promise<SignedArchive> {
    const { mirror, suite, signal } = options;
    const path = `dists/${suite}/InRelease`;
    const url = `${mirror.url}/${path}`;
    const signed = await mirror.text(path, MAX_RELEASE_BYTES, signal);
    const text = await verifiedText(signed, options.keyringPath, url);
    const [fields] = parseControl(text);
    const date = fields === undefined ? Number.NaN : Date.parse(fields.get('date') ?? '');
    if (fields === undefined || Number.isNaN(date)) throw new AppError('INPUT_INVALID', { message: `${url} is not a release file.` });
    checkSuite(fields, suite, url);
    const sha256 = sha256Hex(signed);
    await writeFileAtomic(join(options.cacheDir, 'InRelease'), signed); // what the lock's digest can be compared with
    return new SignedArchive(options, { suite, date: new Date(date).toISOString(), sha256 }, parseDigestLines(fields.get('sha256') ?? ''));
  }

  /** The packages of an architecture, by Debian's name. */
  async packages(arch: string, onProgress?: (doneBytes: number) => void): Promise<PackageIndex> {
    return new PackageIndex(await this.#index(`${this.#options.component}/binary-${arch}/Packages`, onProgress));
  }

  async sources(wanted: readonly string[], onProgress?: (doneBytes: number) => void): Promise<SourceFile[]> {
    return findSources(await this.#index(`${this.#options.component}/source/Sources`, onProgress), wanted);
  }

  /** @param stem - the index without the ending of its compression. */
  async #index(stem: string, onProgress?: (doneBytes: number) => void): Promise<string> {
    const { mirror, suite, cacheDir, signal } = this.#options;
    const path = [`${stem}.xz`, `${stem}.gz`].find((candidate) => this.#files.has(candidate));
    const file = path === undefined ? undefined : this.#files.get(path);
    if (path === undefined || file === undefined)
      throw new AppError('REFERENCE_MISSING', {
        message: `${mirror.url} has no ${stem} in ${suite}.`,
        hint: 'Does the mirror carry this architecture?',
      });
    const hooks = { ...(signal === undefined ? {} : { signal }), ...(onProgress === undefined ? {} : { onProgress }) };
    // By digest first: under its name the file may be a newer one already while a mirror is updated.
    const folder = path.slice(0, path.lastIndexOf('/'));
    const byDigest = `dists/${suite}/${folder}/by-hash/SHA256/${file.sha256}`;
    const downloaded = await mirror.download(byDigest, file, cacheDir, hooks).catch((error: unknown) => {
      if (!(error instanceof AppError) || error.code !== 'NOT_FOUND') throw error;
      return mirror.download(`dists/${suite}/${path}`, file, cacheDir, hooks);
    });
    return decompressText(path, await readFile(downloaded), MAX_INDEX_BYTES);
  }
}

/** A signature by the right key is not enough: the same keys sign other suites too. */
function checkSuite(fields: Paragraph, suite: string, url: string): void {
  if (fields.get('codename') !== suite && fields.get('suite') !== suite)
    throw new AppError('SIGNATURE_INVALID', {
      message: `${url} is the release file of ${fields.get('codename') ?? 'another suite'}, not of ${suite}.`,
    });
  const until = fields.get('valid-until');
  if (until !== undefined && Date.parse(until) < Date.now())
    throw new AppError('SIGNATURE_INVALID', {
      message: `${url} was valid until ${until}: the mirror is not up to date.`,
      hint: 'Choose another one with --mirror.',
    });
}
