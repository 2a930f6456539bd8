import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type GoldenSample, goldenSampleSchema, type PackageManifest, packageManifestSchema } from '@selvedge/contract';
import { confinePath, sha256Hex, systemErrorCode } from '@selvedge/runtime';

export interface LoadedPackage {
  manifest: PackageManifest;
  /** The ONNX file; exactly the bytes that were checked. */
  model: Uint8Array;
  golden: GoldenSample | null;
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${path} cannot be read (${systemErrorCode(cause) ?? 'unknown error'}).` }, { cause });
  }
}

function parseJson(bytes: Buffer, path: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new AppError('INPUT_INVALID', { message: `${path} is not valid JSON.` }, { cause });
  }
}

/**
 * Reads a package folder. What is returned was hashed in memory, so nothing else can be served even if the disk changes
 * its mind between the agent's check and now.
 *
 * @throws AppError FILE_UNREADABLE, INPUT_INVALID (user); DIGEST_MISMATCH (operational).
 */
export async function loadPackage(folder: string): Promise<LoadedPackage> {
  const manifestPath = join(folder, 'manifest.json');
  const manifest = packageManifestSchema.safeParse(parseJson(await read(manifestPath), manifestPath));
  if (!manifest.success) throw new AppError('INPUT_INVALID', { message: `${manifestPath} is not a package manifest of a known form.` });
  const { files, modelFile, goldenFile } = manifest.data;
  const readListed = async (path: string): Promise<Buffer> => {
    const listed = files.find((file) => file.path === path);
    if (listed === undefined) throw new AppError('INPUT_INVALID', { message: `The manifest does not list its file ${path}.` });
    const bytes = await read(confinePath(folder, path));
    if (sha256Hex(bytes) !== listed.sha256) throw new AppError('DIGEST_MISMATCH', { message: `${path} of the package is damaged.` });
    return bytes;
  };
  const model = await readListed(modelFile);
  if (goldenFile === null) return { manifest: manifest.data, model, golden: null };
  const golden = goldenSampleSchema.safeParse(parseJson(await readListed(goldenFile), goldenFile));
  if (!golden.success) throw new AppError('INPUT_INVALID', { message: `${goldenFile} is not a golden sample.` });
  return { manifest: manifest.data, model, golden: golden.data };
}
