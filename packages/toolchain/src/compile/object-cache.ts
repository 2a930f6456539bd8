import { readFile, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { AppError, sha256Schema } from '@selvedge/contract';
import { readJsonFile, sha256Hex, systemErrorCode, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';
import { markUsed } from './mark-used.ts';

const MAX_VARIANTS = 8;

/** A header by the folder that it was found in: 0 = the source's own, then the include folders in order. */
const headerSchema = z.strictObject({ root: z.int().min(0), path: z.string(), sha256: sha256Schema });
const variantSchema = z.strictObject({ headers: z.array(headerSchema), object: sha256Schema });
const indexSchema = z.strictObject({ variants: z.array(variantSchema).max(MAX_VARIANTS) });
type Header = z.infer<typeof headerSchema>;

/** Digests of files, each read once. */
export class FileDigests {
  readonly #digests = new Map<string, Promise<string | undefined>>();

  /** Undefined when there is no such file. */
  of(path: string): Promise<string | undefined> {
    const known = this.#digests.get(path);
    if (known !== undefined) return known;
    const digest = readFile(path).then(sha256Hex, (error: unknown) => {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    this.#digests.set(path, digest);
    return digest;
  }
}

/** Where the headers of one source are looked up. */
export interface HeaderRoots {
  readonly roots: readonly string[];
  /** Below these nothing changes while the key is the same: the sysroot and the compiler. */
  readonly fixed: readonly string[];
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder + sep);
}

/** The header as folder and path; undefined when it is below a fixed folder. @throws AppError BUILD_FAILED for one from elsewhere. */
async function locate(path: string, { roots, fixed }: HeaderRoots, digests: FileDigests): Promise<Header | undefined> {
  const absolute = resolve('/', path);
  if (fixed.some((folder) => isBelow(absolute, folder))) return undefined;
  const sha256 = await digests.of(absolute);
  if (sha256 === undefined) throw new AppError('BUILD_FAILED', { message: `The header ${absolute} changed while it was compiled.` });
  const root = roots.findIndex((folder) => isBelow(absolute, folder));
  return root < 0 ? { root: roots.length, path: absolute, sha256 } : { root, path: relative(roots[root] ?? '/', absolute), sha256 };
}

/**
 * Compiled objects by what they were compiled from. The key of a source names everything but its headers; for each key
 * there are a few variants, each with the digests of the headers that it saw. Files may go at any time outside
 * `usingObjects`: an index without its object is no more than a miss.
 *
 * Limit, as of every cache that trusts the compiler's list: a new header that hides one of a later include folder is not
 * noticed.
 */
export class ObjectCache {
  readonly #folder: string;
  readonly #digests: FileDigests;

  constructor(folder: string, digests: FileDigests) {
    this.#folder = folder;
    this.#digests = digests;
  }

  objectPath(digest: string): string {
    return join(this.#folder, digest.slice(0, 2), `${digest}.o`);
  }

  #indexPath(key: string): string {
    return join(this.#folder, key.slice(0, 2), `${key}.json`);
  }

  async #read(key: string): Promise<z.infer<typeof indexSchema>> {
    try {
      return (await readJsonFile(this.#indexPath(key), indexSchema)) ?? { variants: [] };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      await rm(this.#indexPath(key), { force: true }); // damaged: compiled anew
      return { variants: [] };
    }
  }

  /** The object for a key with headers as they are now; undefined when it has to be compiled. */
  async find(key: string, roots: readonly string[]): Promise<string | undefined> {
    for (const variant of (await this.#read(key)).variants) {
      const matches = await Promise.all(
        variant.headers.map(async (header) => (await this.#digests.of(join(roots[header.root] ?? '/', header.path))) === header.sha256),
      );
      const path = this.objectPath(variant.object);
      if (!matches.every(Boolean) || !(await markUsed(path))) continue;
      await markUsed(this.#indexPath(key));
      return path;
    }
    return undefined;
  }

  /** Digest under which an object with these headers is to be kept. */
  async prepare(key: string, headerPaths: readonly string[], headerRoots: HeaderRoots): Promise<{ object: string; headers: Header[] }> {
    const located = await Promise.all(headerPaths.map((path) => locate(path, headerRoots, this.#digests)));
    const headers = located.filter((header) => header !== undefined);
    return { object: sha256Hex(JSON.stringify([key, headers])), headers };
  }

  /** Notes an object that is in place. */
  async note(key: string, variant: { object: string; headers: Header[] }): Promise<void> {
    const others = (await this.#read(key)).variants.filter(({ object }) => object !== variant.object);
    await writeJsonAtomic(this.#indexPath(key), { variants: [variant, ...others].slice(0, MAX_VARIANTS) });
  }
}

/** The folder of a source, as the first place of its headers. */
export function rootsOf(source: string, includeDirs: readonly string[]): string[] {
  return [dirname(source), ...includeDirs];
}
