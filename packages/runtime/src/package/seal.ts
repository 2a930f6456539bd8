import { createHash } from 'node:crypto';
import { signatureInvalid } from './signature.ts';

/**
 * The last bytes of an archive: a skippable zstd frame that holds a signature of everything before it. What unpacks with
 * `zstd -d` and `tar` passes over it; who verifies finds with it every changed byte, also those that decompress to the same.
 */
const SKIPPABLE_MAGIC = 0x184d2a5e;
const SIGNATURE_BYTES = 64;
const SEAL_BYTES = 8 + SIGNATURE_BYTES;

export function sealFrame(signature: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  head.writeUInt32LE(SIGNATURE_BYTES, 4);
  return Buffer.concat([head, signature]);
}

/** Hashes an archive on its way through and keeps back its seal. */
export class SealReader {
  readonly #whole = createHash('sha256');
  readonly #sealed = createHash('sha256');
  #tail: Buffer = Buffer.alloc(0);
  sizeBytes = 0;

  /** Everything but the seal. */
  async *withoutSeal(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.#whole.update(chunk);
      this.sizeBytes += chunk.length;
      if (chunk.length < SEAL_BYTES) {
        const bytes = Buffer.concat([this.#tail, chunk]);
        const cut = Math.max(0, bytes.length - SEAL_BYTES);
        this.#tail = bytes.subarray(cut);
        if (cut > 0) yield this.#pass(bytes.subarray(0, cut));
        continue;
      }
      // without copying: what is kept back is the end of this chunk, whatever was kept back before goes on
      const cut = chunk.length - SEAL_BYTES;
      const before = this.#tail;
      this.#tail = Buffer.from(chunk.subarray(cut));
      if (before.length > 0) yield this.#pass(before);
      if (cut > 0) yield this.#pass(chunk.subarray(0, cut));
    }
  }

  #pass(bytes: Uint8Array): Uint8Array {
    this.#sealed.update(bytes);
    return bytes;
  }

  /** After the last byte. @throws AppError SIGNATURE_INVALID (user) when there is no seal. */
  finish(): { archiveSha256: string; sealedSha256: string; signature: Buffer } {
    const isSeal =
      this.#tail.length === SEAL_BYTES && this.#tail.readUInt32LE(0) === SKIPPABLE_MAGIC && this.#tail.readUInt32LE(4) === SIGNATURE_BYTES;
    if (!isSeal) throw signatureInvalid('The archive does not end with its seal: it is cut off, or was changed.');
    return { archiveSha256: this.#whole.digest('hex'), sealedSha256: this.#sealed.digest('hex'), signature: this.#tail.subarray(8) };
  }
}
