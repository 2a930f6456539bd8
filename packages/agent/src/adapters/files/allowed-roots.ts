import { lstat, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { partsBelow, pathParts } from '../../domain/path-parts.ts';

/** A place in an allowed folder: the folder it is in, with no link in its path any more, and its name there. */
export interface Place {
  readonly folder: string;
  readonly name: string;
  readonly path: string;
}

/**
 * Folders that others may use. A path must be below one of them as it is written and as it is on the disk: a link may lead from
 * one place of the allowed folders to another, never out of them.
 */
export class AllowedRoots {
  readonly #roots: readonly string[];

  constructor(roots: readonly string[]) {
    this.#roots = roots;
  }

  /**
   * Finds the place of a path.
   *
   * @param options.make - makes the folders that lead there where they are missing.
   * @param options.orRoot - takes an allowed folder itself as well; it has no name then.
   * @throws AppError FORBIDDEN for a path that is not allowed; NOT_FOUND when a folder is missing, CONFLICT when one is a file.
   */
  async place(path: string, options: { make: boolean; orRoot?: boolean }): Promise<Place> {
    const parts = pathParts(path);
    const allowed = await this.#onDisk();
    for (const { written, real } of allowed) {
      if (options.orRoot === true && parts?.join('/') === written.join('/')) return { folder: real, name: '', path: real };
      const below = parts === undefined ? undefined : partsBelow(written, parts);
      if (below === undefined) continue;
      const name = below.at(-1) ?? '';
      const folder = await this.#descend(real, below.slice(0, -1), allowed, path, options.make);
      return { folder, name, path: join(folder, name) };
    }
    throw this.#forbidden(path);
  }

  /** The folders that there are, as they are written and as they are on the disk. */
  async #onDisk(): Promise<{ written: string[]; real: string }[]> {
    const found: { written: string[]; real: string }[] = [];
    for (const root of this.#roots) {
      const written = pathParts(root);
      const real = await realpath(root).catch(() => undefined); // a folder that is not there allows nothing
      if (written !== undefined && real !== undefined) found.push({ written, real });
    }
    return found;
  }

  async #descend(
    root: string,
    parts: readonly string[],
    allowed: readonly { real: string }[],
    path: string,
    make: boolean,
  ): Promise<string> {
    let folder = root;
    for (const part of parts) {
      const next = join(folder, part);
      if (make) {
        await mkdir(next).catch((error: unknown) => {
          if (systemErrorCode(error) !== 'EEXIST') throw explain(error, path);
        });
      }
      folder = await realpath(next).catch((error: unknown) => {
        throw explain(error, path);
      });
      if (!allowed.some(({ real }) => folder === real || folder.startsWith(real === '/' ? real : `${real}/`))) throw this.#forbidden(path);
      if (!(await lstat(folder)).isDirectory()) throw new AppError('CONFLICT', { message: `${next} is not a folder.` });
    }
    return folder;
  }

  #forbidden(path: string): AppError {
    const roots = this.#roots.length === 0 ? 'none' : this.#roots.join(', ');
    return new AppError('FORBIDDEN', { message: `This device does not allow ${path.slice(0, 300)}; it allows what is below: ${roots}.` });
  }
}

function explain(error: unknown, path: string): unknown {
  const code = systemErrorCode(error);
  if (code === 'ENOENT') return new AppError('NOT_FOUND', { message: `There is no ${path} on this device.` }, { cause: error });
  if (code === 'ENOTDIR') return new AppError('CONFLICT', { message: `A part of ${path} is not a folder.` }, { cause: error });
  return explainAccess(error, path);
}

/** What the operating system refuses becomes FORBIDDEN; everything else stays. */
export function explainAccess(error: unknown, path: string): unknown {
  const code = systemErrorCode(error);
  if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS' && code !== 'ELOOP') return error;
  return new AppError(
    'FORBIDDEN',
    { message: `The agent may not use ${path}: ${code === 'ELOOP' ? 'it is a link' : code}.` },
    { cause: error },
  );
}
