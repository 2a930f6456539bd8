import { join } from 'node:path';

/** Where things are below the folder of targets. */
export interface Layout {
  readonly root: string;
  readonly cache: string;
  /** Packages, sources and indexes, each named by its sha256. */
  readonly downloads: string;
  /** Compiled objects that targets share. */
  readonly objects: string;
  toolchain(arch: string): string;
  target(name: string): string;
  /** Where an installation grows until it is renamed. */
  unfinished(name: string): string;
}

export const UNFINISHED = '.unfinished-';

export function layoutOf(root: string): Layout {
  const cache = join(root, 'cache');
  return {
    root,
    cache,
    downloads: join(cache, 'downloads'),
    objects: join(cache, 'objects'),
    toolchain: (arch) => join(root, 'toolchain', arch),
    target: (name) => join(root, name),
    unfinished: (name) => join(root, `${UNFINISHED}${name}`),
  };
}

/** The folder of targets: SELVEDGE_TARGETS_DIR, else `targets` in the data folder. */
export function targetsDirOf(dataDir: string, env: Readonly<Record<string, string | undefined>>): string {
  return env.SELVEDGE_TARGETS_DIR || join(dataDir, 'targets');
}

/** Where the objects that builds compile are kept below the folder of targets. */
export function objectsDirOf(targetsDir: string): string {
  return layoutOf(targetsDir).objects;
}
