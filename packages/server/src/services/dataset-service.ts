import type { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import {
  AppError,
  artifactNameSchema,
  type DatasetVersion,
  type datasetImportRequestSchema,
  type ImportOptions,
  type Resplit,
} from '@selvedge/contract';
import type { SerialRunner } from '@selvedge/runtime';
import type * as z from 'zod';
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
  /** One registration at a time; shared with what removes versions and their archives. */
  serial: SerialRunner;
}

export function versionName(dataset: string, version: number): string {
  return `${dataset}.v${version}`;
}

/** Registers versions of datasets; the importer brings them to Ready. */
export class DatasetService {
  readonly #options: DatasetServiceOptions;

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
    options: {
      fileName?: string | undefined;
      testShare?: number | undefined;
      import?: ImportOptions | undefined;
      signal: AbortSignal;
    },
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
    return this.#options.serial.run(() =>
      this.#register(dataset, { source, archive, testShare, ...given(options.import) }, (spec) => spec.archive?.sha256 === archive.sha256),
    );
  }

  /**
   * Registers a version that is fetched from a URL, from S3 or from a tool. With a digest, the same source and digest are
   * the version that exists already.
   */
  async importFrom(dataset: string, request: z.output<typeof datasetImportRequestSchema>): Promise<DatasetVersion> {
    const { sha256 } = request;
    const known = sha256 === undefined ? undefined : await this.#options.blobs.stat(sha256);
    const source = sourceOf(request);
    const wanted = { source, archive: known ?? null, testShare: request.testShare ?? DEFAULT_TEST_SHARE, ...given(request.options) };
    return this.#options.serial.run(() =>
      this.#register(dataset, wanted, ({ source: other, archive }) => {
        if (source.type === 'artifact') return isDeepStrictEqual(other, source);
        return sha256 !== undefined && (archive?.sha256 === sha256 || isDeepStrictEqual(other, source));
      }),
    );
  }

  /**
   * Registers a version with the samples of another and new splits; the same request again is the version that exists.
   * @throws AppError REFERENCE_MISSING, CONFLICT (user) when that version is not there or not ready.
   */
  async split(dataset: string, version: number, resplit: Resplit): Promise<DatasetVersion> {
    const { version: parent } = await this.resolve(dataset, version);
    const source: VersionSpec['source'] = { type: 'split', version, resplit };
    const wanted = { source, archive: null, testShare: parent.spec.testShare };
    return this.#options.serial.run(() => this.#register(dataset, wanted, (spec) => isDeepStrictEqual(spec.source, source)));
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
    const existing = (await this.versionsOf(dataset)).findLast(
      ({ spec, status }) =>
        status.phase !== 'Removing' && spec.testShare === wanted.testShare && isDeepStrictEqual(spec.options, wanted.options) && same(spec),
    );
    if (existing !== undefined) return existing.status.phase === 'Failed' ? this.#retry(existing) : existing;
    await this.#checkArchive(wanted);
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

  /** What was uploaded may have been there before, and been removed with another version in the meantime. */
  async #checkArchive({ archive }: Pick<VersionSpec, 'archive'>): Promise<void> {
    if (archive === null || (await this.#options.blobs.stat(archive.sha256)) !== undefined) return;
    throw new AppError('CONFLICT', { message: 'The same data was removed while it was being added.', hint: 'Add it again.' });
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

function given(options: ImportOptions | undefined): { options?: ImportOptions } {
  return options === undefined || Object.keys(options).length === 0 ? {} : { options };
}

function sourceOf({ url, s3, artifact, sha256 }: z.output<typeof datasetImportRequestSchema>): VersionSpec['source'] {
  const digest = sha256 === undefined ? {} : { sha256 };
  if (url !== undefined) return { type: 'url', url, ...digest };
  if (s3 !== undefined) return { type: 's3', ...s3, ...digest };
  if (artifact !== undefined) return { type: 'artifact', tool: artifact.tool, artifact: artifact.name };
  throw new AppError('INPUT_INVALID', { message: 'The request names no source.' });
}

/** Makes the Dataset's status say what the version is: idempotent, so a crash between the two writes is mended later. */
export async function recordVersion(store: Store, version: DatasetVersion): Promise<void> {
  const { dataset, version: number } = version.spec;
  await store.update('Dataset', dataset, (current) => {
    const isTwin = version.status.sameAs !== undefined;
    const versions = [...new Set([...current.status.versions, number])].filter((one) => one !== number || !isTwin).sort((a, b) => a - b);
    const isNewer = !isTwin && version.status.phase === 'Ready' && number > (current.status.latestVersion ?? 0);
    const last = Math.max(Number(current.metadata.annotations[LAST_NUMBER_ANNOTATION] ?? 0), number);
    return draftOf(current, {
      annotations: { ...current.metadata.annotations, [LAST_NUMBER_ANNOTATION]: String(last) },
      status: { versions, latestVersion: isNewer ? number : current.status.latestVersion },
    });
  });
}
