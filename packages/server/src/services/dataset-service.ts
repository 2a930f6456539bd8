import type { Readable } from 'node:stream';
import { AppError, artifactNameSchema, type DatasetVersion } from '@selvedge/contract';
import { SerialRunner } from '@selvedge/runtime';
import { ACTIVE_LABEL, LAST_NUMBER_ANNOTATION } from '../domain/run-markers.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { ResourceOf, Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { draftOf } from './draft-of.ts';

/** Share held out for testing when neither the data nor the caller says. */
const DEFAULT_TEST_SHARE = 0.2;
const IMPORT_TOOL = 'import';

type VersionSpec = DatasetVersion['spec'];

export interface DatasetServiceOptions {
  store: Store;
  blobs: BlobStore;
  tools: ToolClient;
  /** Largest upload in bytes. */
  maxUploadBytes: number;
}

export function versionName(dataset: string, version: number): string {
  return `${dataset}.v${version}`;
}

/** Registers versions of datasets; the importer brings them to Ready. */
export class DatasetService {
  readonly #options: DatasetServiceOptions;
  readonly #serial = new SerialRunner();

  constructor(options: DatasetServiceOptions) {
    this.#options = options;
  }

  /**
   * Keeps the uploaded archive and registers a version of it; the same bytes with the same parameters are the version
   * that exists already.
   *
   * @throws AppError PAYLOAD_TOO_LARGE, DISK_FULL, INPUT_INVALID (empty body); nothing is registered then.
   */
  async upload(
    dataset: string,
    body: Readable,
    options: { fileName?: string | undefined; testShare?: number | undefined; signal: AbortSignal },
  ): Promise<DatasetVersion> {
    const archive = await this.#options.blobs.put(body, { maxBytes: this.#options.maxUploadBytes, signal: options.signal });
    if (archive.sizeBytes === 0) {
      throw new AppError('INPUT_INVALID', {
        message: `The upload for dataset "${dataset}" is empty.`,
        hint: 'Send a tar stream of the files.',
      });
    }
    const testShare = options.testShare ?? DEFAULT_TEST_SHARE;
    const source: VersionSpec['source'] = { type: 'upload', fileName: options.fileName ?? 'upload.tar' };
    return this.#serial.run(() =>
      this.#register(dataset, { source, archive, testShare }, (spec) => spec.archive?.sha256 === archive.sha256),
    );
  }

  /** Registers a version that is downloaded from a URL. With a digest, the same URL and digest are the version that exists already. */
  async importUrl(
    dataset: string,
    request: { url: string; sha256?: string | undefined; testShare?: number | undefined },
  ): Promise<DatasetVersion> {
    const { url, sha256 } = request;
    const known = sha256 === undefined ? undefined : await this.#options.blobs.stat(sha256);
    const source: VersionSpec['source'] = { type: 'url', url, ...(sha256 === undefined ? {} : { sha256 }) };
    const testShare = request.testShare ?? DEFAULT_TEST_SHARE;
    return this.#serial.run(() =>
      this.#register(dataset, { source, archive: known ?? null, testShare }, ({ source: other, archive }) => {
        if (sha256 === undefined) return false;
        return archive?.sha256 === sha256 || (other.type === 'url' && other.url === url && other.sha256 === sha256);
      }),
    );
  }

  /**
   * A version that can be used: the given one, or the newest that is Ready.
   * @throws AppError REFERENCE_MISSING (user), CONFLICT (user) while it is still being imported or has failed.
   */
  async resolve(dataset: string, version?: number): Promise<{ version: DatasetVersion; digest: string }> {
    const versions = await this.versionsOf(dataset);
    const candidates = version === undefined ? versions : versions.filter((candidate) => candidate.spec.version === version);
    const ready = candidates.findLast((candidate) => candidate.status.phase === 'Ready');
    if (ready?.status.content != null) return { version: ready, digest: ready.status.content.digest };
    const newest = candidates.at(-1);
    if (newest === undefined) {
      throw new AppError('REFERENCE_MISSING', {
        message: version === undefined ? `There is no data in dataset "${dataset}".` : `Dataset "${dataset}" has no version ${version}.`,
        hint: `Add it with "selvedge dataset add ${dataset} --from PATH|URL".`,
        data: { dataset },
      });
    }
    const name = newest.metadata.name;
    throw new AppError('CONFLICT', {
      message: `Dataset version "${name}" is not ready: ${newest.status.phase === 'Failed' ? 'its import failed' : 'it is being imported'}. ${newest.status.message}`,
      hint: `Watch it with "selvedge get datasetversion ${name}".`,
    });
  }

  /** All versions, oldest first. */
  async versionsOf(dataset: string): Promise<DatasetVersion[]> {
    const found = await this.#options.store.get('Dataset', dataset);
    const versions: DatasetVersion[] = [];
    for (const number of found?.status.versions ?? []) {
      const version = await this.#options.store.get('DatasetVersion', versionName(dataset, number));
      if (version !== undefined) versions.push(version);
    }
    return versions;
  }

  async #register(
    dataset: string,
    wanted: Omit<VersionSpec, 'dataset' | 'version'>,
    same: (spec: VersionSpec) => boolean,
  ): Promise<DatasetVersion> {
    const existing = (await this.versionsOf(dataset)).findLast(({ spec }) => spec.testShare === wanted.testShare && same(spec));
    if (existing !== undefined) return existing.status.phase === 'Failed' ? this.#retry(existing) : existing;
    const parent = (await this.#options.store.get('Dataset', dataset)) ?? (await this.#createDataset(dataset));
    let number = Math.max(0, Number(parent.metadata.annotations[LAST_NUMBER_ANNOTATION] ?? 0), ...parent.status.versions) + 1;
    while ((await this.#options.store.get('DatasetVersion', versionName(dataset, number))) !== undefined) number += 1;
    const name = versionName(dataset, number);
    if (!artifactNameSchema.safeParse(name).success) {
      throw new AppError('INPUT_INVALID', { message: `The name "${dataset}" is too long for a dataset; 120 characters are possible.` });
    }
    const version = await this.#options.store.create('DatasetVersion', {
      name,
      labels: { ...parent.metadata.labels, [ACTIVE_LABEL]: 'true' },
      annotations: {},
      spec: { dataset, version: number, ...wanted },
      status: { phase: 'Importing', message: 'waiting for the import tool', artifact: name, content: null, error: null },
    });
    await recordVersion(this.#options.store, version);
    return version;
  }

  #createDataset(name: string): Promise<ResourceOf<'Dataset'>> {
    return this.#options.store.create('Dataset', {
      name,
      labels: {},
      annotations: {},
      spec: {},
      status: { latestVersion: null, versions: [] },
    });
  }

  /** The same bytes again after a failure: perhaps the tool has learnt since, or the disk has space now. */
  async #retry(version: DatasetVersion): Promise<DatasetVersion> {
    const { name } = version.metadata;
    await this.#options.tools.removeArtifact(IMPORT_TOOL, version.status.artifact);
    const updated = await this.#options.store.update('DatasetVersion', name, (current) =>
      draftOf(current, {
        labels: { ...current.metadata.labels, [ACTIVE_LABEL]: 'true' },
        status: { ...current.status, phase: 'Importing', message: 'waiting for the import tool', error: null },
      }),
    );
    return updated ?? version;
  }
}

/** Makes the Dataset's status say what the version is: idempotent, so a crash between the two writes is mended later. */
export async function recordVersion(store: Store, version: DatasetVersion): Promise<void> {
  const { dataset, version: number } = version.spec;
  await store.update('Dataset', dataset, (current) => {
    const versions = [...new Set([...current.status.versions, number])].sort((a, b) => a - b);
    const isNewer = version.status.phase === 'Ready' && number > (current.status.latestVersion ?? 0);
    const last = Math.max(Number(current.metadata.annotations[LAST_NUMBER_ANNOTATION] ?? 0), number);
    return draftOf(current, {
      annotations: { ...current.metadata.annotations, [LAST_NUMBER_ANNOTATION]: String(last) },
      status: { versions, latestVersion: isNewer ? number : current.status.latestVersion },
    });
  });
}
