import { extname, posix } from 'node:path';
import { IMAGE_EXTENSIONS } from '@selvedge/graph/image';

/** Kinds of pictures that people have in such folders but that are not read here: better refused than left out in silence. */
const OTHER_PICTURES = ['.bmp', '.gif', '.tif', '.tiff', '.heic', '.avif', '.pgm', '.ppm'];

export function isUnreadPicture(path: string): boolean {
  return OTHER_PICTURES.includes(extname(path).toLowerCase());
}

export function isPicture(path: string): boolean {
  const ending = extname(path).toLowerCase();
  return IMAGE_EXTENSIONS.some((one) => one === ending) || OTHER_PICTURES.includes(ending);
}

export function stemOf(path: string): string {
  return posix.basename(path, posix.extname(path));
}

/** Finds pictures by the names that annotations give them. */
export class PictureIndex {
  readonly paths: readonly string[];
  readonly #all: ReadonlySet<string>;
  readonly #byName = new Map<string, string[]>();

  constructor(paths: readonly string[]) {
    this.paths = paths.filter(isPicture);
    this.#all = new Set(this.paths);
    for (const path of this.paths) {
      const name = posix.basename(path);
      const same = this.#byName.get(name);
      if (same === undefined) this.#byName.set(name, [path]);
      else same.push(path);
    }
  }

  /**
   * The picture called `name`: below one of the folders, or the only one whose path ends so.
   * @returns what is wrong, in words, when there is none or there are several.
   */
  find(name: string, folders: readonly string[]): { path: string } | { fault: string } {
    const wanted = name.replaceAll('\\', '/').replace(/^(\.?\/)+/, '');
    for (const folder of folders) {
      const path = posix.normalize(folder === '' ? wanted : `${folder}/${wanted}`);
      if (this.#all.has(path)) return { path };
    }
    const same = this.#byName.get(posix.basename(wanted)) ?? [];
    const ending = same.filter((path) => path === wanted || path.endsWith(`/${wanted}`));
    const candidates = ending.length > 0 ? ending : same;
    const [path] = candidates;
    if (path === undefined) return { fault: `the picture ${JSON.stringify(name)} is not there` };
    if (candidates.length > 1)
      return { fault: `${candidates.length} pictures could be ${JSON.stringify(name)}: ${candidates.slice(0, 3).join(', ')}` };
    return { path };
  }
}
