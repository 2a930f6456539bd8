// How a program starts with the loader and the libraries of an unpacked tree, not those of this machine.
import { join } from 'node:path';
import type { DebianTree } from './debian-tree.ts';

const ARCHES: Readonly<Record<string, { triple: string; loader: string }>> = {
  amd64: { triple: 'x86_64-linux-gnu', loader: 'usr/lib64/ld-linux-x86-64.so.2' },
  armhf: { triple: 'arm-linux-gnueabihf', loader: 'usr/lib/ld-linux-armhf.so.3' },
  arm64: { triple: 'aarch64-linux-gnu', loader: 'usr/lib/ld-linux-aarch64.so.1' },
};

export function libraryFolder({ root }: DebianTree, arch: string): string {
  return join(root, 'usr/lib', ARCHES[arch]?.triple ?? '');
}

/** The words in front of a dynamic program. @param first - folders that are searched before the tree's own. */
export function withLoader(tree: DebianTree, arch: string, first: readonly string[] = []): string[] {
  const folder = libraryFolder(tree, arch);
  const folders = [...first, folder, join(folder, 'blas'), join(folder, 'lapack'), join(tree.root, 'usr/lib')];
  return [join(tree.root, ARCHES[arch]?.loader ?? ''), '--library-path', folders.join(':')];
}
