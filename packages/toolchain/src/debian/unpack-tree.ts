import { createHash } from 'node:crypto';
import { link, lstat, mkdir, open, readlink, realpath, rm, symlink } from 'node:fs/promises';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { AppError } from '@selvedge/contract';
import { confinePath, explainDiskError, systemErrorCode } from '@selvedge/runtime';
import { readTar, type TarEntry } from '@selvedge/runtime/tar';

/** What was unpacked under a path (relative, with `/`). */
export type TreeEntry = { sha256: string; sizeBytes: number } | { link: string };

/** Top folders that are links into usr in a system of today; older packages still name them. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'];
const MAX_ENTRIES = 300_000;

export interface UnpackOptions {
  wants: (path: string) => boolean;
  /** Parts that are taken off the front of each path, as in `tar --strip-components`; default 0. */
  strip?: number;
  signal?: AbortSignal;
}

/**
 * A folder that archives are unpacked into without root and without running anything of theirs.
 *
 * Invariants: nothing is written outside the folder, also not through links of an earlier archive; every link points to a
 * place inside it, absolute ones being read as relative to it; there are no devices, owners or set-id bits.
 */
export class UnpackTree {
  readonly root: string;
  readonly entries = new Map<string, TreeEntry>();
  readonly #safeFolders = new Set<string>();
  #seen = 0;

  constructor(root: string) {
    this.root = root;
  }

  /** Makes the folder, with bin, lib and sbin as links into usr. */
  async prepare(): Promise<void> {
    for (const name of MERGED) {
      await mkdir(join(this.root, 'usr', name), { recursive: true });
      await this.#makeLink(name, `usr/${name}`);
    }
  }

  /** Unpacks one tar stream. @throws AppError ARCHIVE_UNSAFE (user), DISK_FULL. */
  async unpack(content: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<void> {
    try {
      for await (const entry of readTar(content)) {
        options.signal?.throwIfAborted();
        await this.#place(entry, options);
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof AppError) throw error;
      if (systemErrorCode(error) !== undefined) throw explainDiskError(error, this.root);
      const reason = error instanceof Error ? error.message : String(error);
      throw new AppError('ARCHIVE_UNSAFE', { message: `The archive cannot be unpacked: ${reason.slice(0, 200)}` }, { cause: error });
    }
  }

  async #place({ header, content }: TarEntry, options: UnpackOptions): Promise<void> {
    this.#seen += 1;
    if (this.#seen > MAX_ENTRIES) throw this.#unsafe(header.name, 'is one of too many entries');
    const path = this.#pathOf(header.name, options.strip ?? 0);
    if (path === '' || header.type === 'directory' || !options.wants(path)) return; // folders are made for what is in them
    if (header.type === 'symlink') {
      await this.#makeLink(path, header.linkname ?? '');
    } else if (header.type === 'link') {
      await this.#makeHardLink(path, this.#pathOf(header.linkname ?? '', options.strip ?? 0));
    } else if (header.type === 'file' || header.type === 'contiguous-file') {
      await this.#writeFile(path, { header, content });
    } else {
      throw this.#unsafe(header.name, `is a ${header.type} entry`);
    }
  }

  /** A path of an archive, relative to the folder, with merged top folders below usr. */
  #pathOf(name: string, strip: number): string {
    const clean = relative(this.root, confinePath(this.root, name.replace(/^\.?\/+/, '')));
    const parts = clean.split(sep).slice(strip);
    const isMerged = parts.length > 1 && MERGED.includes(parts[0] ?? '');
    return (isMerged ? ['usr', ...parts] : parts).join('/');
  }

  /** Makes a link. @throws AppError ARCHIVE_UNSAFE (user) when it would lead out of the folder. */
  link(path: string, target: string): Promise<void> {
    return this.#makeLink(path, target);
  }

  /** The target is judged from where the link really is, since the way to it may lead through other links. */
  async #makeLink(path: string, target: string): Promise<void> {
    const at = await this.#clear(path);
    const folder = join('/', relative(await realpath(this.root), await realpath(dirname(at))));
    if (target === '' || target.includes('\0')) throw this.#unsafe(path, 'is a link to nothing');
    const isAbsolute = target.startsWith('/');
    if (!isAbsolute && normalize(join(folder.slice(1), target)).startsWith('..'))
      throw this.#unsafe(path, `is a link out of the folder (${target.slice(0, 100)})`);
    const inside = relative(folder, normalize(isAbsolute ? target : join(folder, target))) || '.';
    await symlink(inside, at);
    this.entries.set(path, { link: inside });
  }

  async #makeHardLink(path: string, existing: string): Promise<void> {
    const entry = this.entries.get(existing);
    if (entry === undefined || 'link' in entry) throw this.#unsafe(path, 'is a hard link to a file that was not unpacked');
    await this.#folderOf(existing);
    const at = await this.#clear(path);
    await link(join(this.root, existing), at);
    this.entries.set(path, entry);
  }

  async #writeFile(path: string, { header, content }: TarEntry): Promise<void> {
    const at = await this.#clear(path);
    const hash = createHash('sha256');
    const isProgram = ((header.mode ?? 0) & 0o111) !== 0;
    const file = await open(at, 'wx', isProgram ? 0o755 : 0o644);
    let sizeBytes = 0;
    try {
      for await (const chunk of content) {
        hash.update(chunk);
        sizeBytes += chunk.length;
        await file.write(chunk);
      }
    } finally {
      await file.close();
    }
    this.entries.set(path, { sha256: hash.digest('hex'), sizeBytes });
  }

  /** Makes place for a path: its folder is there and inside, and nothing has its name. */
  async #clear(path: string): Promise<string> {
    const folder = await this.#folderOf(path);
    const at = join(folder, path.slice(path.lastIndexOf('/') + 1));
    const present = await lstat(at).catch(absent);
    if (present?.isDirectory() === true) throw this.#unsafe(path, 'has the name of a folder that is there');
    if (present !== undefined) await rm(at);
    return at;
  }

  async #folderOf(path: string): Promise<string> {
    const folder = dirname(join(this.root, path));
    if (this.#safeFolders.has(folder)) return folder;
    await this.#checkParents(folder);
    await mkdir(folder, { recursive: true });
    this.#safeFolders.add(folder);
    return folder;
  }

  /** The nearest parent that exists, all links followed, must be inside: mkdir would walk through links. */
  async #checkParents(folder: string): Promise<void> {
    const base = await realpath(this.root);
    for (let at = folder; at.length >= this.root.length; at = dirname(at)) {
      const real = await realpath(at).catch(absent);
      if (real !== undefined) {
        if (real !== base && !real.startsWith(base + sep)) throw this.#unsafe(folder, 'leads out of the folder through a link');
        return;
      }
      if ((await readlink(at).catch(absent)) !== undefined) throw this.#unsafe(folder, 'leads through a link to nothing');
    }
  }

  #unsafe(name: string, reason: string): AppError {
    return new AppError('ARCHIVE_UNSAFE', { message: `The archive's entry ${JSON.stringify(name.slice(0, 200))} ${reason}.` });
  }
}

function absent(error: unknown): undefined {
  if (['ENOENT', 'EINVAL', 'ENOTDIR', 'ELOOP'].includes(systemErrorCode(error) ?? '')) return undefined;
  throw error;
}
