import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { AppError, type ModelVersion } from '@selvedge/contract';
import { explainDiskError, systemErrorCode } from '@selvedge/runtime';
import { chunksOf } from '../connect.ts';
import { formatBytes } from '../output/format.ts';
import type { Session } from '../session.ts';

function explainWriteError(error: unknown, path: string): unknown {
  const code = systemErrorCode(error);
  if (error instanceof AppError || code === undefined) return error;
  const disk = explainDiskError(error, path);
  return disk === error ? new AppError('FILE_UNREADABLE', { message: `${path} could not be written (${code}).` }, { cause: error }) : disk;
}

/**
 * Downloads the ONNX file of a version. The file appears under its name only when it is whole and its digest is right.
 *
 * @throws AppError DIGEST_MISMATCH, DISK_FULL (operational), FILE_UNREADABLE (user); what the server answers.
 */
export async function downloadModel(session: Session, version: ModelVersion, path: string): Promise<void> {
  const { io, client, settings } = session;
  const { sha256, sizeBytes } = version.spec.file;
  const params = { name: version.spec.model, version: version.spec.version };
  const response = await client.stream('downloadModel', { params, signal: io.signal });
  const line = session.progress();
  const hash = createHash('sha256');
  const part = `${path}.part`;
  let done = 0;
  async function* measured(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(response, settings.serverUrl)) {
      hash.update(chunk);
      done += chunk.length;
      const percent = Math.min(100, Math.floor((done / sizeBytes) * 100));
      line.update(`download ${percent}%  ${formatBytes(done)} of ${formatBytes(sizeBytes)}`, `download ${Math.floor(percent / 10)}`);
      yield chunk;
    }
  }
  try {
    await pipeline(measured(), createWriteStream(part), { signal: io.signal });
    const actual = hash.digest('hex');
    if (actual !== sha256)
      throw new AppError('DIGEST_MISMATCH', { message: `The download has sha256 ${actual}, expected ${sha256}; it was thrown away.` });
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw explainWriteError(error, path);
  } finally {
    line.clear();
  }
}
