import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemErrorCode } from '@selvedge/runtime';
import { yieldToEvents } from '../kit/index.ts';

/** What a file system says that cannot link, or not once more. */
const CANNOT_LINK: readonly (string | undefined)[] = ['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'ENOSYS', 'EACCES'];

/**
 * Keeps each content once on disk, whatever number of versions has it: the files of all versions are hard links to it.
 *
 * The file system counts the users: a content with one link is in no version any more. The pool may be emptied at any
 * time, only the sharing is lost then. Calls are synchronous: for small files the way through the thread pool costs
 * several times more than the call.
 */
export class ContentPool {
  readonly #root: string;
  readonly #folders = new Set<string>();

  /** @param root - on the file system of the files that are placed. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Removes what no version has any more. Nothing may be placed meanwhile. */
  async sweep(signal: AbortSignal): Promise<void> {
    mkdirSync(this.#root, { recursive: true });
    for (const folder of readdirSync(this.#root)) {
      signal.throwIfAborted();
      for (const name of readdirSync(join(this.#root, folder))) {
        const path = join(this.#root, folder, name);
        if (statSync(path).nlink === 1) rmSync(path);
      }
      await yieldToEvents(signal);
    }
  }

  /**
   * Makes `target` have the content, which is in the file `source` or given as bytes.
   * @param target - must not exist; its folder is made.
   */
  place(target: string, sha256: string, content: { readonly file: string } | { readonly bytes: Uint8Array }): void {
    this.#ensureFolder(dirname(target));
    const folder = join(this.#root, sha256.slice(0, 2));
    this.#ensureFolder(folder);
    const pooled = join(folder, sha256);
    if (existsSync(pooled) && link(pooled, target)) return;
    if ('bytes' in content) writeFileSync(target, content.bytes, { flag: 'wx' });
    else if (!link(content.file, target)) copyFileSync(content.file, target);
    link(target, pooled);
  }

  #ensureFolder(folder: string): void {
    if (this.#folders.has(folder)) return;
    mkdirSync(folder, { recursive: true });
    this.#folders.add(folder);
  }
}

/** @returns false when there is nothing to link to, or it cannot be linked. */
function link(existing: string, path: string): boolean {
  try {
    linkSync(existing, path);
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || CANNOT_LINK.includes(code)) return false;
    throw error;
  }
}
