import { Readable } from 'node:stream';
import {
  AppError,
  type ArtifactRequest,
  type ArtifactStatus,
  type DatasetVersion,
  datasetInfoSchema,
  isErrorCode,
  toAppError,
} from '@selvedge/contract';
import { backoffDelayMs, describeError, type Logger, sleep } from '@selvedge/runtime';
import { failureText } from '../domain/failure-text.ts';
import { ACTIVE_LABEL, ORIGIN_ANNOTATION } from '../domain/run-markers.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { recordVersion } from './dataset-service.ts';
import { draftOf, withoutKey } from './draft-of.ts';
import { failureOf } from './failure-of.ts';
import { readSmallJson } from './read-small-json.ts';
import { downloadFailed, downloadRefused, isWorthRetrying } from './source-download.ts';

const POLL_MS = 300;
const DOWNLOAD_ATTEMPTS = 5;
const IMPORT_TOOL = 'import';

export interface DatasetImporterOptions {
  store: Store;
  blobs: BlobStore;
  tools: ToolClient;
  /** Where the tools reach the server. */
  origin: () => string;
  maxUploadBytes: number;
  log: Logger;
}

/**
 * Brings dataset versions from Importing to Ready or Failed. All state is in the store and in the tool, so that it goes on
 * where it was after a restart; the tool's artifact has the version's name and is made once.
 */
export class DatasetImporter {
  readonly #options: DatasetImporterOptions;

  constructor(options: DatasetImporterOptions) {
    this.#options = options;
  }

  /** Names of the versions that need work. */
  async pending(): Promise<string[]> {
    const { items } = await this.#options.store.list('DatasetVersion', { labels: { [ACTIVE_LABEL]: 'true' } });
    return items.map((version) => version.metadata.name);
  }

  /** The request for a version's artifact; a run makes it again from this when the tool has lost it. */
  request(version: DatasetVersion): ArtifactRequest {
    const { archive, testShare } = version.spec;
    if (archive === null)
      throw new AppError('CONFLICT', { message: `Dataset version "${version.metadata.name}" is still being downloaded.` });
    const url = `${this.#options.origin()}/api/v1/blobs/${archive.sha256}`;
    return { name: version.status.artifact, parameters: { testShare }, inputs: { archive: { url, sha256: archive.sha256 } } };
  }

  /** Works on one version until it is Ready or Failed, or the signal aborts. */
  async drive(name: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const version = await this.#options.store.get('DatasetVersion', name);
        if (version === undefined || version.metadata.labels[ACTIVE_LABEL] === undefined) return;
        await this.#step(version, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toAppError(thrown);
        if (error.code !== 'TOOL_UNAVAILABLE') await this.#fail(name, error);
        else await this.#say(name, error.message);
      }
      await sleep(POLL_MS, signal).catch(() => undefined); // aborted: the loop ends by its condition
    }
  }

  async #step(version: DatasetVersion, signal: AbortSignal): Promise<void> {
    const { name } = version.metadata;
    if (version.status.phase !== 'Importing') return this.#settle(version);
    if (version.spec.archive === null) return this.#download(version, signal);
    const { artifact } = version.status;
    let status = await this.#options.tools.getStatus(IMPORT_TOOL, artifact);
    const isWanting = status !== undefined && status.status !== 'completed' && status.status !== 'cancelled';
    if (isWanting && version.metadata.annotations[ORIGIN_ANNOTATION] !== this.#options.origin()) {
      // Asked for when the server had another port: the input's URL leads nowhere, and may have made it fail already.
      await this.#options.tools.removeArtifact(IMPORT_TOOL, artifact);
      status = undefined;
    }
    switch (status?.status) {
      case undefined: {
        await this.#options.store.update('DatasetVersion', name, (current) =>
          draftOf(current, { annotations: { ...current.metadata.annotations, [ORIGIN_ANNOTATION]: this.#options.origin() } }),
        );
        return this.#options.tools.createArtifact(IMPORT_TOOL, this.request(version));
      }
      case 'queued':
        return this.#say(name, 'queued');
      case 'in-progress':
        return this.#say(name, `${status.message === '' ? 'importing' : status.message} (${Math.round(status.progress * 100)} %)`);
      case 'completed':
        return this.#ready(version, signal);
      case 'cancelled':
        throw new AppError('CANCELLED', { message: 'The import was cancelled.' });
      case 'failed':
        throw reported(status);
    }
  }

  async #download(version: DatasetVersion, signal: AbortSignal): Promise<void> {
    const { source } = version.spec;
    const { name } = version.metadata;
    if (source.type !== 'url') throw new AppError('INTERNAL', { message: `Dataset version "${name}" has no archive.` });
    await this.#say(name, 'downloading');
    const archive = await this.#fetchArchive(source, signal);
    await this.#options.store.update('DatasetVersion', name, (current) => draftOf(current, { spec: { ...current.spec, archive } }));
  }

  async #fetchArchive(
    source: { url: string; sha256?: string | undefined },
    signal: AbortSignal,
  ): Promise<{ sha256: string; sizeBytes: number }> {
    const { blobs, maxUploadBytes, log } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await fetch(source.url, { signal });
        if (!response.ok || response.body === null) {
          await response.body?.cancel();
          throw downloadRefused(source.url, response.status);
        }
        const body = Readable.fromWeb(response.body);
        const expected = source.sha256 === undefined ? {} : { expectedSha256: source.sha256 };
        return await blobs.put(body, { maxBytes: maxUploadBytes, signal, ...expected });
      } catch (error) {
        signal.throwIfAborted();
        if (!isWorthRetrying(error) || attempt >= DOWNLOAD_ATTEMPTS) throw downloadFailed(source.url, error);
        log.warn('dataset download interrupted; trying again', { attempt, ...describeError(error) });
        await sleep(backoffDelayMs(attempt, { baseMs: 500, maxMs: 10_000 }), signal);
      }
    }
  }

  async #ready(version: DatasetVersion, signal: AbortSignal): Promise<void> {
    const { tools, blobs, store, log } = this.#options;
    const { artifact } = version.status;
    const info = await readSmallJson(
      await tools.openFile(IMPORT_TOOL, artifact, 'dataset.json', signal),
      datasetInfoSchema,
      'dataset.json',
    );
    const manifest = await tools.openFile(IMPORT_TOOL, artifact, 'manifest.jsonl', signal);
    if (manifest === undefined) throw new AppError('DATASET_FORMAT', { message: 'The import tool left no manifest.' });
    const { sha256: digest } = await blobs.put(manifest, { signal });
    const { files, sizeBytes, labels, splits } = info;
    const updated = await store.update('DatasetVersion', version.metadata.name, (current) =>
      draftOf(current, {
        status: { ...current.status, phase: 'Ready', message: `${files} files`, content: { digest, files, sizeBytes, labels, splits } },
      }),
    );
    if (updated === undefined) return;
    log.info('dataset version ready', { version: version.metadata.name, files, digest });
    await this.#settle(updated);
  }

  /** The last write: after it, nothing looks at the version any more. */
  async #settle(version: DatasetVersion): Promise<void> {
    await recordVersion(this.#options.store, version);
    await this.#options.store.update('DatasetVersion', version.metadata.name, (current) =>
      draftOf(current, { labels: withoutKey(current.metadata.labels, ACTIVE_LABEL) }),
    );
  }

  async #fail(name: string, error: AppError): Promise<void> {
    this.#options.log.warn('dataset import failed', { version: name, ...describeError(error) });
    const failure = failureOf(error);
    await this.#options.store.update('DatasetVersion', name, (current) =>
      draftOf(current, { status: { ...current.status, phase: 'Failed', message: failureText(failure), error: failure } }),
    );
  }

  async #say(name: string, message: string): Promise<void> {
    await this.#options.store.update('DatasetVersion', name, (current) => draftOf(current, { status: { ...current.status, message } }));
  }
}

/** The failure that the import tool reported; a code of a newer tool counts as data that is not understood. */
function reported({ error, message }: ArtifactStatus): AppError {
  if (error === null) return new AppError('DATASET_FORMAT', { message });
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  return new AppError(isErrorCode(error.code) ? error.code : 'DATASET_FORMAT', { message: error.message, ...hint });
}
