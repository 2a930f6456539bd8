import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, MAX_GOLDEN_SET_BYTES } from '@selvedge/contract';
import { type DownloadResponse, downloadResumable, explainDiskError, type Logger } from '@selvedge/runtime';
import type { GoldenRequest, GoldenResult } from '../../ports/trial-means.ts';

export interface GoldenOptions {
  /** Where golden sets are kept while they are asked. */
  folder: string;
  openBlob: (sha256: string, offset: number, signal: AbortSignal) => Promise<DownloadResponse>;
  /** Asks the file, in a process of its own: it may be large, and this one is to stay small. */
  ask: (file: string, ports: { port: number; previousPort: number | null }, signal: AbortSignal) => Promise<GoldenResult>;
  log: Logger;
}

/**
 * Fetches a golden set, checks its sha256, has it asked and throws it away.
 *
 * @throws AppError PAYLOAD_TOO_LARGE (user), DIGEST_MISMATCH, DOWNLOAD_FAILED, DISK_FULL (operational); as `ask` does.
 */
export async function fetchAndAskGolden(options: GoldenOptions, request: GoldenRequest, signal: AbortSignal): Promise<GoldenResult> {
  const { folder, openBlob, ask, log } = options;
  const { sha256, sizeBytes } = request.golden;
  if (sizeBytes > MAX_GOLDEN_SET_BYTES)
    throw new AppError('PAYLOAD_TOO_LARGE', { message: `A golden set may have ${MAX_GOLDEN_SET_BYTES} bytes, this one has ${sizeBytes}.` });
  const file = join(folder, `${request.workload}-${sha256.slice(0, 16)}.json`);
  try {
    await mkdir(folder, { recursive: true });
    const open = (offset: number) => openBlob(sha256, offset, signal);
    await downloadResumable({ open, destination: file, sha256, sizeBytes, signal, log });
  } catch (error) {
    throw explainDiskError(error, file);
  }
  try {
    return await ask(file, request, signal);
  } finally {
    await rm(file, { force: true });
  }
}
