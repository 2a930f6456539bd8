import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { MANIFEST_ENTRY, PROVENANCE_ENTRY, packagePathSchema, sha256Schema } from '@selvedge/contract';
import { confinePath, pathExists, sha256File } from '@selvedge/runtime';
import * as z from 'zod';

/** What manifests of all kinds of packages have in common. */
const filesSchema = z.object({
  files: z.array(z.object({ path: packagePathSchema, sha256: sha256Schema, sizeBytes: z.int().min(0) })).max(10_000),
});
const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;

/** A file of a version on disk, as its manifest says; it may have been damaged since. */
export interface KnownFile {
  /** Where it is. */
  location: string;
  /** In its package. */
  path: string;
  sha256: string;
  sizeBytes: number;
}

/** An unpacked native package on disk, as its manifest says. */
export interface KnownPackage {
  folder: string;
  /** Of its manifest. */
  sha256: string;
}

/**
 * The files of all complete versions on disk: those of this workload first, and of each workload the version that came last.
 *
 * @param root - the folder with `<workload>/<key>/`.
 */
export async function filesOnDisk(root: string, workload: string, isComplete: (key: string) => boolean): Promise<KnownFile[]> {
  const found: KnownFile[] = [];
  for (const folder of await foldersOnDisk(root, workload, isComplete)) found.push(...(await filesOf(folder)));
  return found;
}

/** The native packages on disk, in the order of `filesOnDisk`. @param most - this many at most. */
export async function packagesOnDisk(
  root: string,
  workload: string,
  isComplete: (key: string) => boolean,
  most: number,
): Promise<KnownPackage[]> {
  const found: KnownPackage[] = [];
  for (const folder of await foldersOnDisk(root, workload, isComplete)) {
    const manifest = join(folder, MANIFEST_ENTRY);
    if (found.length < most && (await pathExists(join(folder, PROVENANCE_ENTRY))) && (await pathExists(manifest)))
      found.push({ folder, sha256: await sha256File(manifest) });
  }
  return found;
}

async function foldersOnDisk(root: string, workload: string, isComplete: (key: string) => boolean): Promise<string[]> {
  const others = (await readdir(root)).filter((name) => name !== workload).sort();
  const found: string[] = [];
  for (const name of [workload, ...others]) {
    const keys = (await readdir(join(root, name)).catch(() => [])).filter(isComplete);
    const folders = await Promise.all(
      keys.map(async (key) => ({ folder: join(root, name, key), at: await changedAt(join(root, name, key)) })),
    );
    found.push(...folders.toSorted((a, b) => b.at - a.at).map(({ folder }) => folder));
  }
  return found;
}

async function changedAt(folder: string): Promise<number> {
  return (await stat(folder).catch(() => undefined))?.mtimeMs ?? 0;
}

/** None where the manifest cannot be read: what is on disk is looked at to save bytes, never needed. */
async function filesOf(folder: string): Promise<KnownFile[]> {
  try {
    const path = join(folder, MANIFEST_ENTRY);
    if ((await stat(path)).size > MAX_MANIFEST_BYTES) return [];
    const { files } = filesSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    return files.map((file) => ({ ...file, location: confinePath(folder, file.path) }));
  } catch {
    return [];
  }
}

/**
 * What a patch to a file may be made against, the likeliest first: files of the same path, then of the same kind, none that is
 * much smaller.
 *
 * @param most - this many at most, each content once.
 */
export function basesFor(file: { path: string; sizeBytes: number }, known: readonly KnownFile[], most: number): KnownFile[] {
  const large = known.filter(({ sizeBytes }) => sizeBytes * 4 >= file.sizeBytes);
  const same = large.filter(({ path }) => path === file.path);
  const alike = large.filter(({ path }) => path !== file.path && extname(path) === extname(file.path));
  const bases = new Map<string, KnownFile>();
  for (const base of [...same, ...alike]) if (!bases.has(base.sha256)) bases.set(base.sha256, base);
  return [...bases.values()].slice(0, most);
}
