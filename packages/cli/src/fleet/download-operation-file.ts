import { Readable } from 'node:stream';
import { AppError, type OperationDevice } from '@selvedge/contract';
import { type DownloadResponse, downloadResumable } from '@selvedge/runtime';
import { chunksOf } from '../connect.ts';
import { formatBytes } from '../output/format.ts';
import type { Session } from '../session.ts';

/**
 * Fetches what a device has sent. It appears under its name whole and verified; a connection that breaks off is resumed.
 *
 * @throws AppError DIGEST_MISMATCH, DISK_FULL, NOT_FOUND, DOWNLOAD_FAILED.
 */
export async function downloadOperationFile(
  session: Session,
  operation: string,
  device: string,
  file: NonNullable<OperationDevice['file']>,
  destination: string,
): Promise<void> {
  const { client, io, settings } = session;
  const line = session.progress();
  const open = async (offset: number): Promise<DownloadResponse> => {
    const params = { name: operation, device };
    const response = await client.stream('downloadOperationFile', { params, query: { offset }, signal: io.signal });
    return {
      status: offset === 0 ? 200 : 206,
      headers: {},
      body: Readable.from(chunksOf(response, settings.serverUrl), { objectMode: false }),
    };
  };
  try {
    await downloadResumable({
      open,
      destination,
      sha256: file.sha256,
      sizeBytes: file.sizeBytes,
      onProgress: (done) => {
        const percent = file.sizeBytes === 0 ? 100 : Math.floor((done / file.sizeBytes) * 100);
        line.update(`${device}: download ${percent}%  ${formatBytes(done)}`, `${device} download ${Math.floor(percent / 20)}`);
      },
      signal: io.signal,
    });
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('FILE_UNREADABLE', { message: `${destination} could not be written.` }, { cause: error });
  } finally {
    line.clear();
  }
}
