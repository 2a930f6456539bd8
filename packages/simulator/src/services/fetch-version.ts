import { createHash } from 'node:crypto';
import { AppError, type DesiredWorkload, packageManifestSchema } from '@selvedge/contract';
import { openBlob, type ServerAccess } from '@selvedge/device-link';
import { sleep } from '@selvedge/runtime';

const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;

export interface FetchOptions {
  access: ServerAccess;
  /** Without it as fast as it goes. */
  bytesPerS: number | undefined;
  onBytes: (count: number) => void;
  /** A file is there. */
  onFile: (bytes: number, tookMs: number) => void;
  signal: AbortSignal;
}

/** Reads a blob to its end and checks its digest; keeps it when it is wanted, else throws the bytes away. */
async function fetchBlob(sha256: string, keep: boolean, options: FetchOptions): Promise<Buffer> {
  const { access, bytesPerS, onBytes, onFile, signal } = options;
  const response = await openBlob(access, sha256, 0, signal);
  if (response.status !== 200) throw new AppError('DOWNLOAD_FAILED', { message: `A download was answered with HTTP ${response.status}.` });
  const hash = createHash('sha256');
  const kept: Buffer[] = [];
  const beganMs = performance.now();
  let bytes = 0;
  for await (const chunk of response.body) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    hash.update(part);
    if (keep && bytes <= MAX_MANIFEST_BYTES) kept.push(part);
    onBytes(part.length);
    const dueMs = bytesPerS === undefined ? 0 : beganMs + (bytes / bytesPerS) * 1000 - performance.now();
    if (dueMs > 0) await sleep(dueMs, signal);
  }
  onFile(bytes, performance.now() - beganMs);
  if (hash.digest('hex') !== sha256) throw new AppError('DIGEST_MISMATCH', { message: 'A download has another sha256 than was ordered.' });
  return Buffer.concat(kept);
}

/**
 * Fetches a version as an agent does: the manifest, then every file that it names, each verified.
 *
 * @throws AppError DOWNLOAD_FAILED, DIGEST_MISMATCH, SERVER_UNREACHABLE (operational).
 */
export async function fetchVersion(desired: DesiredWorkload, options: FetchOptions): Promise<void> {
  const manifest = await fetchBlob(desired.manifest.sha256, true, options);
  const { files } = packageManifestSchema.parse(JSON.parse(manifest.toString('utf8')));
  for (const { sha256 } of files) await fetchBlob(sha256, false, options);
}
