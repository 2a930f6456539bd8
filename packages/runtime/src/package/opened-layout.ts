import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AppError,
  MANIFEST_ENTRY,
  MAX_MANIFEST_BYTES,
  type NativeManifest,
  nativeManifestSchema,
  PROVENANCE_ENTRY,
} from '@selvedge/contract';
import { confinePath } from '../confine.ts';

/**
 * The opened package is its content as one file: manifest, provenance, and the manifest's files in its order, one right after the
 * other. Two packages that are alike are alike in this form; as archives, which are compressed, they are not.
 */
export function layoutOf({ files }: NativeManifest, manifestBytes: number, provenanceBytes: number) {
  let sizeBytes = manifestBytes + provenanceBytes;
  const offsets = new Map<string, number>();
  for (const file of files) {
    offsets.set(file.path, sizeBytes);
    sizeBytes += file.sizeBytes;
  }
  return { offsets, sizeBytes };
}

/** Where the two opened packages of a patch are while it is made. */
export const openedNames = (patch: string): readonly [string, string] => [`${patch}.base`, `${patch}.target`];

/** @throws AppError INPUT_INVALID (user). */
export function parseNativeManifest(bytes: Buffer): NativeManifest {
  const parsed = nativeManifestSchema.safeParse(parseJson(bytes));
  if (parsed.success) return parsed.data;
  throw new AppError('INPUT_INVALID', { message: 'The package has a manifest that is not understood.' });
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined; // refused by the schema, with its message
  }
}

/**
 * The files of an unpacked package that make the opened one. Nothing of them is checked.
 *
 * @throws AppError INPUT_INVALID (user), ARCHIVE_UNSAFE (user), or the file system's error.
 */
export async function openedParts(folder: string): Promise<string[]> {
  const manifest = join(folder, MANIFEST_ENTRY);
  if ((await stat(manifest)).size > MAX_MANIFEST_BYTES) throw new AppError('INPUT_INVALID', { message: `${manifest} is too large.` });
  const { files } = parseNativeManifest(await readFile(manifest));
  return [manifest, join(folder, PROVENANCE_ENTRY), ...files.map(({ path }) => confinePath(folder, path))];
}
