import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
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
import { describeError, type Logger, SerialRunner, sleep } from '@selvedge/runtime';
import { failureText } from '../domain/failure-text.ts';
import { ACTIVE_LABEL, ORIGIN_ANNOTATION } from '../domain/run-markers.ts';
import { artifactDataUrl } from '../domain/run-requests.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { ObjectSource } from '../ports/object-source.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import type { DatasetGarbage } from './dataset-garbage.ts';
import { recordVersion, versionName } from './dataset-service.ts';
import { draftOf, withoutKey } from './draft-of.ts';
import { failureOf } from './failure-of.ts';
import { readSmallJson } from './read-small-json.ts';
import { downloadToFile } from './resumable-download.ts';
import { downloadFailed, openUrl, shownSource } from './source-download.ts';

const POLL_MS = 300;
/** How often the progress of a download is written down. */
const SAY_EVERY_MS = 1000;
const IMPORT_TOOL = 'import';

export interface DatasetImporterOptions {
  store: Store;
  blobs: BlobStore;
  tools: ToolClient;
  objects: ObjectSource;
  garbage: DatasetGarbage;
  /** What is downloaded grows here, a folder per version. */
  downloadsDir: string;
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
  /** Two versions that are ready at once must see each other: one of them may be the same as the other. */
  readonly #serial = new SerialRunner();

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
    const { dataset, source, archive, testShare, options } = version.spec;
    const parameters = {
      testShare,
      ...(options === undefined ? {} : { options }),
      ...(source.type === 'split' ? { resplit: source.resplit } : {}),
    };
    const { artifact: name } = version.status;
    if (archive !== null) {
      const url = `${this.#options.origin()}/api/v1/blobs/${archive.sha256}`;
      return { name, parameters, inputs: { archive: { url, sha256: archive.sha256 } } };
    }
    const from = source.type === 'split' ? { tool: IMPORT_TOOL, artifact: versionName(dataset, source.version) } : source;
    if (!('artifact' in from))
      throw new AppError('CONFLICT', { message: `Dataset version "${version.metadata.name}" is still being downloaded.` });
    return { name, parameters, inputs: { archive: { url: artifactDataUrl(this.#options.origin(), from.tool, from.artifact) } } };
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
    if (version.status.phase === 'Removing') return this.#options.garbage.finish(version);
    if (version.status.phase !== 'Importing') return this.#settle(version);
    const { type } = version.spec.source;
    if (version.spec.archive === null && (type === 'url' || type === 's3')) return this.#download(version, signal);
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
    const { name } = version.metadata;
    await this.#say(name, 'downloading');
    const archive = await this.#fetchArchive(version, signal);
    await this.#options.store.update('DatasetVersion', name, (current) => draftOf(current, { spec: { ...current.spec, archive } }));
  }

  async #fetchArchive({ spec: { source }, metadata }: DatasetVersion, signal: AbortSignal): Promise<{ sha256: string; sizeBytes: number }> {
    const { blobs, maxUploadBytes, objects, downloadsDir, log } = this.#options;
    if (source.type !== 'url' && source.type !== 's3')
      throw new AppError('INTERNAL', { message: `Dataset version "${metadata.name}" has no archive.` });
    const shown = source.type === 'url' ? shownSource(source.url) : `s3://${source.bucket}/${source.key}`;
    const keeping = { maxBytes: maxUploadBytes, signal, ...(source.sha256 === undefined ? {} : { expectedSha256: source.sha256 }) };
    try {
      if (source.type === 's3' && (source.key === '' || source.key.endsWith('/'))) {
        return await blobs.put(Readable.from(objects.packAll(source, signal), { objectMode: false }), keeping);
      }
      const folder = join(downloadsDir, metadata.name);
      const path = await downloadToFile({
        source: source.type === 'url' ? source.url : `${source.endpoint ?? ''} ${shown}`,
        open: (from) => (source.type === 'url' ? openUrl(source.url, from, signal) : objects.open(source, from, signal)),
        folder,
        maxBytes: maxUploadBytes,
        signal,
        log,
        onProgress: this.#downloadProgress(metadata.name),
      });
      try {
        return await blobs.put(createReadStream(path, { highWaterMark: 1024 * 1024 }), keeping);
      } finally {
        if (!signal.aborted) await rm(folder, { recursive: true, force: true });
      }
    } catch (error) {
      signal.throwIfAborted();
      throw downloadFailed(shown, error);
    }
  }

  /** Says now and then how far a download is; what goes wrong with that does not matter to it. */
  #downloadProgress(name: string): (doneBytes: number, totalBytes: number | undefined) => void {
    let last = Date.now();
    return (doneBytes, totalBytes) => {
      if (Date.now() - last < SAY_EVERY_MS) return;
      last = Date.now();
      const percent = totalBytes === undefined ? '' : ` (${Math.floor((doneBytes / totalBytes) * 100)} %)`;
      void this.#say(name, `downloading, ${Math.round(doneBytes / 1e6)} MB${percent}`).catch(() => undefined);
    };
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
    const reportFile = await tools.openFile(IMPORT_TOOL, artifact, 'report.json', signal);
    const report = reportFile === undefined ? {} : { report: (await blobs.put(reportFile, { signal })).sha256 };
    const { type, files, sizeBytes, labels, splits } = info;
    const content = { digest, type, ...report, files, sizeBytes, labels, splits };
    const updated = await this.#serial.run(async () => {
      const twin = await this.#twinOf(version, digest);
      const found = twin === undefined ? { message: `${files} files` } : { message: `the same content as version ${twin}`, sameAs: twin };
      return store.update('DatasetVersion', version.metadata.name, (current) =>
        draftOf(current, current.status.phase === 'Importing' ? { status: { ...current.status, phase: 'Ready', content, ...found } } : {}),
      );
    });
    if (updated === undefined) return;
    log.info('dataset version ready', { version: version.metadata.name, files, digest });
    await this.#settle(updated);
  }

  /** The version of the same dataset that has the same content already. */
  async #twinOf({ metadata, spec }: DatasetVersion, digest: string): Promise<number | undefined> {
    const { store } = this.#options;
    const dataset = await store.get('Dataset', spec.dataset);
    for (const number of dataset?.status.versions ?? []) {
      const other = await store.get('DatasetVersion', versionName(spec.dataset, number));
      if (other?.metadata.name === metadata.name || other?.status.phase !== 'Ready' || other.status.sameAs !== undefined) continue;
      if (other.status.content?.digest === digest) return number;
    }
    return undefined;
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
      draftOf(
        current,
        current.status.phase === 'Importing'
          ? { status: { ...current.status, phase: 'Failed', message: failureText(failure), error: failure } }
          : {},
      ),
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
  const issues = error.issues === undefined ? {} : { issues: error.issues };
  return new AppError(isErrorCode(error.code) ? error.code : 'DATASET_FORMAT', { message: error.message, ...hint, ...issues });
}
