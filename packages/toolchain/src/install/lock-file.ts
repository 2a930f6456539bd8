import { join } from 'node:path';
import { sha256Schema, targetNameSchema } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';
import * as z from 'zod';

const lockedFile = {
  name: z.string().max(200),
  version: z.string().max(200),
  sha256: sha256Schema,
  sizeBytes: z.int().min(0),
};
const lockedPackageSchema = z.strictObject({ ...lockedFile, architecture: z.string().max(30), source: z.string().max(200) });
const releaseSchema = z.strictObject({ suite: z.string(), date: z.string(), sha256: sha256Schema });

/** What a compiler was installed from: toolchain/ARCH/lock.json. */
const toolchainLockSchema = z.strictObject({
  formatVersion: z.literal(1),
  arch: z.string(),
  recipeDigest: sha256Schema,
  /** Version of the clang package. */
  compiler: z.string(),
  release: releaseSchema,
  packages: z.array(lockedPackageSchema),
});
export type ToolchainLock = z.infer<typeof toolchainLockSchema>;

/** What a target was installed from: TARGET/lock.json. */
const targetLockSchema = z.strictObject({
  formatVersion: z.literal(1),
  target: targetNameSchema,
  recipeDigest: sha256Schema,
  extras: z.array(z.string()),
  /** The compiler that built what is in lib/. */
  compiler: z.string(),
  release: releaseSchema,
  packages: z.array(lockedPackageSchema),
  sources: z.array(z.strictObject(lockedFile)),
  /** Libraries taken from npm packages. */
  npm: z.array(z.strictObject({ ...lockedFile, path: z.string() })),
});
export type TargetLock = z.infer<typeof targetLockSchema>;

/** Every file that was unpacked or built, by path below the folder: files.json. */
export const fileListSchema = z.record(
  z.string(),
  z.union([z.strictObject({ sha256: sha256Schema, sizeBytes: z.int().min(0) }), z.strictObject({ link: z.string() })]),
);
export type FileList = z.infer<typeof fileListSchema>;

export const LOCK_FILE = 'lock.json';
export const FILE_LIST = 'files.json';

export function readTargetLock(folder: string): Promise<TargetLock | undefined> {
  return readJsonFile(join(folder, LOCK_FILE), targetLockSchema);
}

export function readToolchainLock(folder: string): Promise<ToolchainLock | undefined> {
  return readJsonFile(join(folder, LOCK_FILE), toolchainLockSchema);
}
