import { readFile } from 'node:fs/promises';
import { debDataMember } from '../debian/ar-archive.ts';
import { decompress } from '../debian/decompress.ts';
import type { DebianPackage } from '../debian/package-index.ts';
import type { UnpackTree } from '../debian/unpack-tree.ts';

const MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024;

export interface FetchedPackage {
  readonly package: DebianPackage;
  readonly path: string;
}

/** Unpacks the file trees of packages into one folder. @throws AppError ARCHIVE_UNSAFE, DISK_FULL. */
export async function unpackPackages(
  tree: UnpackTree,
  packages: readonly FetchedPackage[],
  options: { wants: (path: string) => boolean; signal?: AbortSignal; onPackage: (done: number, name: string) => void },
): Promise<void> {
  for (const [index, fetched] of packages.entries()) {
    options.onPackage(index, fetched.package.name);
    const { name, data } = debDataMember(await readFile(fetched.path));
    await tree.unpack(decompress(name, data, MAX_UNPACKED_BYTES), {
      wants: options.wants,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }
}

/** How a package is written into a lock. */
export function lockedPackage({ name, version, architecture, source, sha256, sizeBytes }: DebianPackage) {
  return { name, version, architecture, source, sha256, sizeBytes };
}
