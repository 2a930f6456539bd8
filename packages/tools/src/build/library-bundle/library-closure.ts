import { readFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { type ElfFile, readElf } from './read-elf.ts';

/** A library under the name that it is asked for by. */
interface BundledLibrary {
  readonly name: string;
  /** The file itself, links followed. */
  readonly path: string;
}

export interface LibraryClosure {
  /** File name of the loader; it is among the libraries. */
  readonly loader: string;
  /** Sorted by name. */
  readonly libraries: readonly BundledLibrary[];
}

async function readOptional(path: string): Promise<{ path: string; elf: ElfFile } | undefined> {
  try {
    const real = await realpath(path);
    return { path: real, elf: readElf(await readFile(real), basename(path)) };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Everything that a dynamic program loads, directly or not, and its loader.
 *
 * @param program - path of the program.
 * @param extra - libraries that it opens by itself: name in the package to path.
 * @param folders - where libraries are looked for, in this order.
 * @throws AppError BUILD_FAILED when one is missing, naming who asks for it.
 */
export async function libraryClosure(
  program: string,
  extra: Readonly<Record<string, string>>,
  folders: readonly string[],
): Promise<LibraryClosure> {
  const root = readElf(await readFile(program), basename(program));
  if (root.interpreter === undefined) throw new AppError('BUILD_FAILED', { message: `${basename(program)} asks for no loader.` });
  const loader = basename(root.interpreter);
  const found = new Map<string, string>();
  const queue: { name: string; from: string }[] = [loader, ...root.needed].map((name) => ({ name, from: basename(program) }));
  for (const [name, path] of Object.entries(extra)) {
    const library = await readOptional(path);
    if (library === undefined) throw new AppError('BUILD_FAILED', { message: `The library ${path} is missing.` });
    found.set(name, library.path);
    queue.push(...library.elf.needed.map((needed) => ({ name: needed, from: name })));
  }
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { name, from } = next;
    if (found.has(name)) continue;
    const library = await findLibrary(name, root.machine, folders);
    if (library === undefined) throw new AppError('BUILD_FAILED', { message: `${from} needs ${name}, which the target does not have.` });
    found.set(name, library.path);
    queue.push(...library.elf.needed.map((needed) => ({ name: needed, from: name })));
  }
  const libraries = [...found].map(([name, path]) => ({ name, path })).sort((a, b) => (a.name < b.name ? -1 : 1));
  return { loader, libraries };
}

async function findLibrary(name: string, machine: string, folders: readonly string[]): Promise<{ path: string; elf: ElfFile } | undefined> {
  for (const folder of folders) {
    const library = await readOptional(join(folder, name));
    if (library !== undefined && library.elf.machine === machine) return library;
  }
  return undefined;
}
