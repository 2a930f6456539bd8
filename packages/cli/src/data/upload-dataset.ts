import { basename, resolve } from 'node:path';
import { AppError, type DatasetVersion, type ImportOptions } from '@selvedge/contract';
import { sha256File } from '@selvedge/runtime';
import { formatBytes } from '../output/format.ts';
import type { ProgressLine } from '../output/progress.ts';
import type { Session } from '../session.ts';
import { type FileEntry, type FileListing, listFiles } from './list-files.ts';
import { packTar } from './pack-tar.ts';

export interface UploadRequest {
  readonly name: string;
  /** Folders and files, absolute. */
  readonly paths: readonly string[];
  readonly sha256: string | undefined;
  readonly testShare: number | undefined;
  readonly options: ImportOptions;
}

async function* measured(
  files: readonly FileEntry[],
  totalBytes: number,
  line: ProgressLine,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of packTar(files, signal)) {
    yield chunk;
    done += chunk.length;
    // The archive is a little larger than its files.
    const percent = totalBytes === 0 ? 100 : Math.min(100, Math.floor((done / totalBytes) * 100));
    line.update(
      `upload ${percent}%  ${formatBytes(done)} of ${formatBytes(Math.max(done, totalBytes))}`,
      `upload ${Math.floor(percent / 10)}`,
    );
  }
}

async function checkDigest(request: UploadRequest, listing: FileListing, signal: AbortSignal): Promise<void> {
  if (request.sha256 === undefined) return;
  const [only] = listing.files;
  if (listing.files.length !== 1 || only === undefined || only.source !== request.paths[0])
    throw new AppError('USAGE', { message: '--sha256 is for a URL or for a single file, not for a folder or several files.' });
  const actual = await sha256File(only.source, signal);
  if (actual !== request.sha256)
    throw new AppError('DIGEST_MISMATCH', {
      message: `${only.source} has sha256 ${actual}, expected ${request.sha256}.`,
      hint: 'Nothing was added.',
    });
}

function warnOfLinks(session: Session, links: readonly string[]): void {
  const [first] = links;
  if (first === undefined) return;
  session.warn(
    links.length === 1 ? `a symbolic link was left out: ${first}` : `${links.length} symbolic links were left out, the first is ${first}`,
  );
}

function optionsQuery({ skipBroken, ignoreColumns, ...options }: ImportOptions) {
  return {
    ...options,
    ...(skipBroken === true ? { skipBroken: '1' as const } : {}),
    ...(ignoreColumns === undefined ? {} : { ignoreColumns: ignoreColumns.join(',') }),
  };
}

/**
 * Uploads files and folders as one deterministic archive.
 *
 * @returns the version, perhaps still being imported; one that is there already when the files are the same.
 * @throws AppError FILE_UNREADABLE, DATASET_FORMAT, USAGE (user), DIGEST_MISMATCH; what the server answers.
 */
export async function uploadDataset(session: Session, request: UploadRequest): Promise<DatasetVersion> {
  const { client, io } = session;
  const listing = await listFiles(request.paths, io.signal);
  await checkDigest(request, listing, io.signal);
  warnOfLinks(session, listing.skippedLinks);
  // A refusal should come before the upload, not in the middle of it.
  await client.getWhoami({ signal: io.signal });
  const line = session.progress();
  let packingError: unknown;
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      yield* measured(listing.files, listing.sizeBytes, line, io.signal);
    } catch (error) {
      packingError = error; // fetch reports only that the body failed
      throw error;
    }
  }
  try {
    return await client.uploadDataset({
      params: { name: request.name },
      query: {
        fileName: `${basename(resolve(request.paths[0] ?? request.name))}.tar`.slice(-255),
        ...(request.testShare === undefined ? {} : { testShare: request.testShare }),
        ...optionsQuery(request.options),
      },
      upload: body(),
      signal: io.signal,
    });
  } catch (error) {
    throw packingError ?? error;
  } finally {
    line.clear();
  }
}
