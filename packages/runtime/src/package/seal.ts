import { createHash, X509Certificate } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { isSealOf, signatureInvalid, trustedSigner } from './signature.ts';

/**
 * The last bytes of an archive: a skippable zstd frame with the signer's certificate (DER), a signature of everything before
 * the frame, and the certificate's length. What unpacks with `zstd -d` and `tar` passes over it.
 *
 * It is looked at first: no decompressor sees a byte that was not signed, and every changed byte is found, also one that
 * decompresses to the same.
 */
const SKIPPABLE_MAGIC = 0x184d2a5e;
const SIGNATURE_BYTES = 64;
const HEAD_BYTES = 8;
const LENGTH_BYTES = 2;
const MAX_CERTIFICATE_BYTES = 4096;
const MAX_SEAL_BYTES = HEAD_BYTES + MAX_CERTIFICATE_BYTES + SIGNATURE_BYTES + LENGTH_BYTES;

export function sealFrame(signature: Uint8Array, certificatePem: string): Buffer {
  const certificate = new X509Certificate(certificatePem).raw;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  head.writeUInt32LE(certificate.length + SIGNATURE_BYTES + LENGTH_BYTES, 4);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16LE(certificate.length, 0);
  return Buffer.concat([head, certificate, signature, length]);
}

interface Seal {
  certificate: Buffer;
  signature: Buffer;
  sizeBytes: number;
}

/** @param tail - the end of the archive. @throws AppError SIGNATURE_INVALID (user) when it is no seal. */
function readSeal(tail: Buffer): Seal {
  const missing = () => signatureInvalid('The archive does not end with its seal: it is cut off, or was changed.');
  if (tail.length < HEAD_BYTES + SIGNATURE_BYTES + LENGTH_BYTES) throw missing();
  const length = tail.readUInt16LE(tail.length - LENGTH_BYTES);
  const contentBytes = length + SIGNATURE_BYTES + LENGTH_BYTES;
  const sizeBytes = HEAD_BYTES + contentBytes;
  if (length > MAX_CERTIFICATE_BYTES || sizeBytes > tail.length) throw missing();
  const frame = tail.subarray(tail.length - sizeBytes);
  if (frame.readUInt32LE(0) !== SKIPPABLE_MAGIC || frame.readUInt32LE(4) !== contentBytes) throw missing();
  const signatureAt = HEAD_BYTES + length;
  return {
    certificate: frame.subarray(HEAD_BYTES, signatureAt),
    signature: frame.subarray(signatureAt, signatureAt + SIGNATURE_BYTES),
    sizeBytes,
  };
}

async function readTail(path: string): Promise<{ tail: Buffer; sizeBytes: number }> {
  const file = await open(path).catch((cause: unknown) => {
    throw new AppError('FILE_UNREADABLE', { message: `${path} cannot be read.` }, { cause });
  });
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(Math.min(size, MAX_SEAL_BYTES));
    const { bytesRead } = await file.read(tail, 0, tail.length, size - tail.length);
    return { tail: tail.subarray(0, bytesRead), sizeBytes: size };
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${path} cannot be read.` }, { cause });
  } finally {
    await file.close();
  }
}

/** How much of an archive is its content: all but its seal, which is not checked. @throws AppError as {@link checkSeal} does. */
export async function contentBytesOf(path: string): Promise<number> {
  const { tail, sizeBytes } = await readTail(path);
  return sizeBytes - readSeal(tail).sizeBytes;
}

export interface SealedFile {
  /** Who sealed it. */
  certificate: X509Certificate;
  /** How much of the file is sealed: all but the seal. */
  contentBytes: number;
  contentSha256: string;
  archive: { sha256: string; sizeBytes: number };
}

/**
 * Checks that a file ends with the seal of a signer whom the authority vouches for, over all of its other bytes.
 *
 * @param ca - PEM.
 * @throws AppError SIGNATURE_INVALID (user), FILE_UNREADABLE (user), INPUT_INVALID (user) for a bad `ca`.
 */
export async function checkSeal(path: string, ca: string, signal?: AbortSignal): Promise<SealedFile> {
  const { tail, sizeBytes } = await readTail(path);
  const seal = readSeal(tail);
  const certificate = trustedSigner(seal.certificate, ca);
  const contentBytes = sizeBytes - seal.sizeBytes;
  if (contentBytes < 1) throw signatureInvalid('The archive is empty.');
  const hash = createHash('sha256');
  const content = createReadStream(path, { end: contentBytes - 1, ...(signal === undefined ? {} : { signal }) });
  for await (const chunk of content) hash.update(chunk);
  const whole = hash.copy().update(tail.subarray(tail.length - seal.sizeBytes));
  const contentSha256 = hash.digest('hex');
  if (!isSealOf(contentSha256, seal.signature, certificate.publicKey))
    throw signatureInvalid('The seal does not belong to the archive: it was changed after it was signed.');
  return { certificate, contentBytes, contentSha256, archive: { sha256: whole.digest('hex'), sizeBytes } };
}
