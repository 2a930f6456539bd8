import type { X509Certificate } from 'node:crypto';
import {
  AppError,
  dsseEnvelopeSchema,
  issuesOf,
  MANIFEST_ENTRY,
  type NativeManifest,
  nativeManifestSchema,
  PROVENANCE_ENTRY,
  type Provenance,
  provenanceSchema,
} from '@selvedge/contract';
import type * as z from 'zod';
import { sha256Hex } from '../digest.ts';
import { signatureInvalid, verifyEnvelope } from './signature.ts';

export interface PackageHead {
  manifest: NativeManifest;
  provenance: Provenance;
  manifestSha256: string;
  certificate: X509Certificate;
}

/**
 * Checks manifest and provenance of a package: what everything else in it is checked against.
 *
 * @param ca - PEM. @param expected - digest of the manifest, where it is known from elsewhere.
 * @throws AppError SIGNATURE_INVALID (user), ARCHIVE_UNSAFE (user); DIGEST_MISMATCH (operational).
 */
export function verifyHead(manifestBytes: Buffer, envelopeBytes: Buffer, ca: string, expected: string | undefined): PackageHead {
  const envelope = parseJson(envelopeBytes, dsseEnvelopeSchema, PROVENANCE_ENTRY);
  const { payload, signer } = verifyEnvelope(envelope, ca);
  const provenance = parseJson(payload, provenanceSchema, PROVENANCE_ENTRY);
  const manifestSha256 = sha256Hex(manifestBytes);
  if (provenance.subject[0]?.digest.sha256 !== manifestSha256) throw signatureInvalid(`${MANIFEST_ENTRY} is not the one that was signed.`);
  if (expected !== undefined && expected !== manifestSha256) throw mismatch(MANIFEST_ENTRY, expected, manifestSha256);
  const manifest = parseJson(manifestBytes, nativeManifestSchema, MANIFEST_ENTRY);
  return { manifest, provenance, manifestSha256, certificate: signer };
}

/** By path. @throws AppError ARCHIVE_UNSAFE (user) when a path is there twice or what must be there is not. */
export function filesOf(manifest: NativeManifest): Map<string, NativeManifest['files'][number]> {
  const files = new Map(manifest.files.map((file) => [file.path, file]));
  if (files.size !== manifest.files.length || files.has(MANIFEST_ENTRY) || files.has(PROVENANCE_ENTRY))
    throw unsafe('The manifest names a file twice, or one of its own.');
  const { entrypoint, modelFile, goldenFile, sbomFile } = manifest;
  for (const path of [entrypoint, modelFile, sbomFile, ...(goldenFile === null ? [] : [goldenFile])])
    if (!files.has(path)) throw unsafe(`The manifest needs ${quote(path)}, which is not among its files.`);
  return files;
}

function parseJson<S extends z.ZodType>(bytes: Buffer, schema: S, name: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new AppError('ARCHIVE_UNSAFE', { message: `Entry ${quote(name)} is not JSON.` }, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError('ARCHIVE_UNSAFE', { message: `Entry ${quote(name)} is not as agreed.`, issues: issuesOf(parsed.error).slice(0, 20) });
}

export function quote(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}

export function unsafe(message: string): AppError {
  return new AppError('ARCHIVE_UNSAFE', { message });
}

export function mismatch(what: string, expected: string, actual: string): AppError {
  return new AppError('DIGEST_MISMATCH', { message: `${what} has sha256 ${actual}, expected ${expected}.` });
}
