import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import {
  type DsseEnvelope,
  MANIFEST_ENTRY,
  type NativeManifest,
  nativeManifestSchema,
  PROVENANCE_ENTRY,
  type Provenance,
} from '@selvedge/contract';
import { pack } from 'tar-stream';
import { sha256Hex } from '../digest.ts';
import { compressSmall } from './compress.ts';
import { sealFrame } from './seal.ts';
import { type PackageSigner, signEnvelope, signSeal } from './signature.ts';

export { type PackageSigner, signEnvelope } from './signature.ts';

/** The bytes of manifest.json: keys in schema order, two spaces of indent, a newline at the end. */
export function canonicalManifest(manifest: NativeManifest): Buffer {
  return Buffer.from(`${JSON.stringify(nativeManifestSchema.parse(manifest), null, 2)}\n`);
}

async function headTar(entries: readonly { name: string; content: Buffer }[]): Promise<Buffer> {
  const tar = pack();
  for (const { name, content } of entries)
    tar.entry({ name, size: content.length, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0, type: 'file' }, content);
  tar.finalize();
  const bytes = await buffer(tar);
  return bytes.subarray(0, bytes.length - 1024); // the blocks that end a tar come with the files
}

export interface SealedHead {
  manifestBytes: Buffer;
  manifestSha256: string;
  envelope: DsseEnvelope;
  /** First zstd frames of the archive: the tar entries of the manifest and its provenance. */
  frame: Uint8Array;
}

/**
 * Signs what a build made. The same input and key give the same bytes.
 *
 * @param provenance - its subject is set to the manifest's digest.
 */
export async function sealHead(manifest: NativeManifest, provenance: Provenance, signer: PackageSigner): Promise<SealedHead> {
  const manifestBytes = canonicalManifest(manifest);
  const manifestSha256 = sha256Hex(manifestBytes);
  const statement: Provenance = { ...provenance, subject: [{ name: MANIFEST_ENTRY, digest: { sha256: manifestSha256 } }] };
  const envelope = signEnvelope(Buffer.from(JSON.stringify(statement)), signer);
  const content = Buffer.from(`${JSON.stringify(envelope, null, 2)}\n`);
  const tar = await headTar([
    { name: MANIFEST_ENTRY, content: manifestBytes },
    { name: PROVENANCE_ENTRY, content },
  ]);
  return { manifestBytes, manifestSha256, envelope, frame: await compressSmall(tar) };
}

/**
 * The whole archive as a stream: the signed head, the build tool's frames unchanged, and the seal over both.
 *
 * @param files - files.tar.zst of the build tool.
 */
export async function* sealedArchive(
  head: SealedHead,
  files: AsyncIterable<Uint8Array>,
  signer: PackageSigner,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256').update(head.frame);
  yield head.frame;
  for await (const chunk of files) {
    hash.update(chunk);
    yield chunk;
  }
  yield sealFrame(signSeal(hash.digest('hex'), signer), signer.certificatePem);
}
