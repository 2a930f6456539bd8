/**
 * Splits an absolute path into its parts; `//` and `.` mean nothing. Undefined when it is not absolute or has a part `..` or a NUL
 * in it: such a path is refused instead of being interpreted.
 */
export function pathParts(path: string): string[] | undefined {
  if (!path.startsWith('/') || path.includes('\0')) return undefined;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts;
}

/** The parts below a folder, at least one; undefined when the path is not below it. */
export function partsBelow(root: readonly string[], parts: readonly string[]): string[] | undefined {
  if (parts.length <= root.length || root.some((part, index) => parts[index] !== part)) return undefined;
  return parts.slice(root.length);
}
