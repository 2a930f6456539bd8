import { fileURLToPath } from 'node:url';

/** Folder of the Python package `selvedge`: beside the bundle, or in the repository when we run from source. */
export function pythonKitFolder(): string {
  const from = import.meta.url;
  return fileURLToPath(new URL(from.endsWith('.ts') ? '../../../../../clients/python/src' : './python', from));
}
