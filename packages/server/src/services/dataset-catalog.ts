import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AppError,
  type DatasetDiff,
  type DatasetFile,
  type DatasetReport,
  type DatasetVerification,
  type DatasetVersion,
  datasetReportSchema,
  type FileFault,
  MAX_NAMED_FILES,
} from '@selvedge/contract';
import { readBounded } from '@selvedge/runtime';
import { pack } from 'tar-stream';
import { diffManifests } from '../domain/dataset-diff.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import type { DatasetService } from './dataset-service.ts';
import { versionName } from './dataset-service.ts';
import { readManifest } from './read-manifest.ts';
import { readSmallJson } from './read-small-json.ts';

const IMPORT_TOOL = 'import';
/** Files that are read from the tool at once. */
const CONCURRENCY = 8;
const MAX_INFO_BYTES = 64 * 1024 * 1024;
const FIXED_TIME = new Date(0);

export interface DatasetCatalogOptions {
  store: Store;
  blobs: BlobStore;
  tools: ToolClient;
  datasets: DatasetService;
}

/** Looks into dataset versions: what they hold, what differs, whether they are whole. */
export class DatasetCatalog {
  readonly #options: DatasetCatalogOptions;

  constructor(options: DatasetCatalogOptions) {
    this.#options = options;
  }

  /** @throws AppError NOT_FOUND (user). */
  async version(dataset: string, version: number): Promise<DatasetVersion> {
    const found = await this.#options.store.get('DatasetVersion', versionName(dataset, version));
    if (found !== undefined) return found;
    throw new AppError('NOT_FOUND', {
      message: `Dataset "${dataset}" has no version ${version}.`,
      hint: `"selvedge dataset show ${dataset}" lists what there is.`,
    });
  }

  /** What was found while the version was imported; null when that was not kept. */
  async report({ status }: DatasetVersion): Promise<DatasetReport | null> {
    const digest = status.content?.report;
    if (digest === undefined) return null;
    const content = await this.#options.blobs.open(digest);
    return content === undefined ? null : readSmallJson(content, datasetReportSchema, 'report.json');
  }

  /** @param from - `digits@1`, or `digits` for the newest version. */
  async diff(from: string, to: string): Promise<DatasetDiff> {
    const [a, b] = [await this.#resolve(from), await this.#resolve(to)];
    return diffManifests(this.#manifest(a), this.#manifest(b));
  }

  /** Reads every file again. @throws AppError CONFLICT (user) for a version that is not ready, TOOL_UNAVAILABLE. */
  async verify(dataset: string, version: number, signal: AbortSignal): Promise<DatasetVerification> {
    const found = await this.#ready(dataset, version);
    const files: FileFault[] = [];
    let [broken, count, sizeBytes] = [0, 0, 0];
    const queue = this.#manifest(found).files[Symbol.asyncIterator]();
    let turn: Promise<unknown> = Promise.resolve();
    /** The workers share one iterator, whose steps must not overlap. */
    const next = (): Promise<IteratorResult<DatasetFile>> => {
      const step = turn.then(() => queue.next());
      turn = step.catch(() => undefined);
      return step;
    };
    const work = async (): Promise<void> => {
      for (let step = await next(); step.done !== true; step = await next()) {
        signal.throwIfAborted();
        const message = await this.#check(found, step.value, signal);
        count += 1;
        sizeBytes += step.value.sizeBytes;
        if (message === undefined) continue;
        broken += 1;
        if (files.length < MAX_NAMED_FILES) files.push({ path: step.value.path, message });
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    files.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { version: found.metadata.name, ok: broken === 0, files: count, sizeBytes, broken: { count: broken, files } };
  }

  /**
   * The version as a tar stream: dataset.json, manifest.jsonl, files/. It breaks off with DIGEST_MISMATCH when a file is
   * not what the manifest says.
   */
  async openArchive(dataset: string, version: number, signal: AbortSignal): Promise<Readable> {
    const found = await this.#ready(dataset, version);
    const { artifact, content } = found.status;
    const info = await this.#options.tools.openFile(IMPORT_TOOL, artifact, 'dataset.json', signal);
    if (info === undefined) throw new AppError('NOT_FOUND', { message: `The files of ${found.metadata.name} are not there any more.` });
    const infoBytes = await readBounded(info, MAX_INFO_BYTES, `dataset.json is larger than the limit of ${MAX_INFO_BYTES} bytes.`);
    const manifest = await this.#options.blobs.stat(content?.digest ?? '');
    const tar = pack();
    const output = Readable.from(tar, { objectMode: false });
    const fill = async () => {
      await addEntry(tar, 'dataset.json', infoBytes.length, [infoBytes]);
      const lines = await this.#options.blobs.open(content?.digest ?? '');
      if (lines !== undefined && manifest !== undefined) await addEntry(tar, 'manifest.jsonl', manifest.sizeBytes, lines);
      for await (const file of this.#manifest(found).files) {
        signal.throwIfAborted();
        const bytes = await this.#options.tools.openFile(IMPORT_TOOL, artifact, `files/${file.path}`, signal);
        if (bytes === undefined) throw new AppError('DIGEST_MISMATCH', { message: `${file.path} is missing.` });
        await addEntry(tar, `files/${file.path}`, file.sizeBytes, checked(bytes, file));
      }
      tar.finalize();
    };
    fill().catch((error: unknown) => output.destroy(error instanceof Error ? error : new Error(String(error))));
    return output;
  }

  async #check({ status }: DatasetVersion, file: DatasetFile, signal: AbortSignal): Promise<string | undefined> {
    const content = await this.#options.tools.openFile(IMPORT_TOOL, status.artifact, `files/${file.path}`, signal);
    if (content === undefined) return 'is missing';
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for await (const chunk of content) {
      const bytes = Buffer.from(chunk);
      sizeBytes += bytes.length;
      hash.update(bytes);
    }
    const actual = hash.digest('hex');
    if (sizeBytes !== file.sizeBytes) return `has ${sizeBytes} bytes, expected ${file.sizeBytes}`;
    return actual === file.sha256 ? undefined : `has sha256 ${actual}, expected ${file.sha256}`;
  }

  async #resolve(reference: string): Promise<DatasetVersion> {
    const [dataset = '', number] = reference.split('@');
    if (number !== undefined) return this.#ready(dataset, Number(number));
    return (await this.#options.datasets.resolve(dataset)).version;
  }

  async #ready(dataset: string, version: number): Promise<DatasetVersion> {
    const found = await this.version(dataset, version);
    if (found.status.phase === 'Ready' && found.status.content !== null) return found;
    throw new AppError('CONFLICT', { message: `Dataset version "${found.metadata.name}" is ${found.status.phase}, not Ready.` });
  }

  #manifest({ spec, status }: DatasetVersion): { name: string; labels: readonly string[]; files: AsyncIterable<DatasetFile> } {
    return {
      name: `${spec.dataset}@${spec.version}`,
      labels: status.content?.labels ?? [],
      files: readManifest(this.#options.blobs, status.content?.digest ?? ''),
    };
  }
}

async function* checked(content: Readable, file: DatasetFile): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of content) {
    const bytes = Buffer.from(chunk);
    hash.update(bytes);
    yield bytes;
  }
  if (hash.digest('hex') !== file.sha256) throw new AppError('DIGEST_MISMATCH', { message: `${file.path} is not what its manifest says.` });
}

type Pack = ReturnType<typeof pack>;

async function addEntry(tar: Pack, name: string, size: number, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  const ended = new Promise<void>((resolve, reject) => {
    const entry = tar.entry({ name, size, mtime: FIXED_TIME, mode: 0o644, type: 'file' }, (error) => (error ? reject(error) : resolve()));
    entry.on('error', reject);
    const feed = async () => {
      for await (const chunk of content) if (!entry.write(chunk)) await new Promise<void>((drained) => entry.once('drain', drained));
      entry.end(null);
    };
    feed().catch(reject);
  });
  await ended;
}
