import { Readable } from 'node:stream';
import {
  AppError,
  type DatasetVersion,
  GOLDEN_SET_PAYLOAD_TYPE,
  type GoldenSet,
  goldenSetSchema,
  MAX_GOLDEN_SET_BYTES,
  type Rollout,
  toAppError,
} from '@selvedge/contract';
import { describeError, type Logger, readBounded, sha256Hex } from '@selvedge/runtime';
import { signEnvelope } from '@selvedge/runtime/package-sealing';
import { GoldenChoice, type GoldenFile } from '../domain/golden-choice.ts';
import { isFinished } from '../domain/rollout-plan.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import type { DatasetService } from './dataset-service.ts';
import { draftOf } from './draft-of.ts';
import type { PackageTrust } from './package-builder.ts';
import { readManifest } from './read-manifest.ts';

export interface GoldenSetsOptions {
  store: Store;
  blobs: BlobStore;
  tools: Pick<ToolClient, 'openFile'>;
  datasets: Pick<DatasetService, 'resolve'>;
  trust: Pick<PackageTrust, 'signer'>;
  clock: () => Date;
  log: Logger;
}

const IMPORT_TOOL = 'import';
const SPLIT = 'test';
const SEED = 0;
const DEFAULT_SAMPLES = 100;
/** After something that only waiting mends. */
const RETRY_MS = 3000;
const WAIT_CODES: readonly string[] = ['TOOL_UNAVAILABLE', 'DISK_FULL', 'TIMEOUT'];
const MEDIA_TYPES: Readonly<Record<string, string>> = { png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', webp: 'image/webp' };

/**
 * Makes the golden sets of rollouts: samples of a dataset version's test split with their labels, signed by what packages are signed
 * with. The same version, number and key make the same bytes, so that making one again after a crash changes nothing.
 */
export class GoldenSets {
  readonly #options: GoldenSetsOptions;
  readonly #busy = new Map<string, Promise<void>>();
  readonly #notBefore = new Map<string, number>();
  readonly #ended = new AbortController();

  constructor(options: GoldenSetsOptions) {
    this.#options = options;
  }

  /** Begins, unless it is under way; the result, or why there can be none, shows in the rollout. */
  prepare(rollout: Rollout): void {
    const { name } = rollout.metadata;
    if (this.#ended.signal.aborted || this.#busy.has(name) || performance.now() < (this.#notBefore.get(name) ?? 0)) return;
    const work = this.#prepare(rollout).finally(() => this.#busy.delete(name));
    this.#busy.set(name, work);
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#busy.values());
  }

  async #prepare({ metadata, spec }: Rollout): Promise<void> {
    const { store, clock, log } = this.#options;
    const { name } = metadata;
    try {
      const golden = await this.#make(spec);
      await store.update('Rollout', name, (current) => draftOf(current, { status: { ...current.status, golden } }));
      this.#notBefore.delete(name);
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      const { code, message } = toAppError(error);
      log.warn('a golden set could not be made', { rollout: name, ...describeError(error) });
      this.#notBefore.set(name, performance.now() + RETRY_MS);
      if (WAIT_CODES.includes(code)) return;
      const finishedAt = clock().toISOString();
      await store.update('Rollout', name, (current) =>
        isFinished(current.status)
          ? undefined
          : draftOf(current, { status: { ...current.status, phase: 'failed', finishedAt, message: `No golden set: ${code}: ${message}` } }),
      );
    }
  }

  async #make({ policy }: Rollout['spec']) {
    const { blobs, datasets, trust } = this.#options;
    const [dataset = '', number] = (policy.golden?.dataset ?? '').split('@');
    const { version } = await datasets.resolve(dataset, number === undefined ? undefined : Number(number));
    const set = await this.#read(version, policy.golden?.samples ?? DEFAULT_SAMPLES);
    const envelope = signEnvelope(Buffer.from(JSON.stringify(set)), await trust.signer(), GOLDEN_SET_PAYLOAD_TYPE);
    const blob = await blobs.put(Readable.from([JSON.stringify(envelope)]), { maxBytes: MAX_GOLDEN_SET_BYTES });
    return { ...blob, samples: set.samples.length };
  }

  async #read({ spec, status }: DatasetVersion, samples: number): Promise<GoldenSet> {
    const { blobs } = this.#options;
    const labels = status.content?.labels ?? [];
    const choice = new GoldenChoice({ split: SPLIT, samples, seed: SEED });
    for await (const file of readManifest(blobs, status.content?.digest ?? '')) choice.offer(file);
    const chosen = choice.chosen();
    const dataset = `${spec.dataset}@${spec.version}`;
    if (chosen.length === 0)
      throw new AppError('INPUT_INVALID', {
        message: `Dataset ${dataset} has no labelled pictures in its split "${SPLIT}" that fit into a golden set.`,
        hint: 'Golden sets are made of image-classification datasets.',
      });
    const read: GoldenSet['samples'] = [];
    for (const file of chosen) {
      const bytes = await this.#bytesOf(status.artifact, file);
      const ending = file.path.slice(file.path.lastIndexOf('.') + 1).toLowerCase();
      const contentType = MEDIA_TYPES[ending] ?? 'application/octet-stream';
      read.push({ contentType, bodyBase64: bytes.toString('base64'), label: labels[file.label] ?? String(file.label) });
    }
    return goldenSetSchema.parse({ formatVersion: 1, dataset, metric: 'accuracy', samples: read });
  }

  async #bytesOf(artifact: string, { path, sha256, sizeBytes }: GoldenFile): Promise<Buffer> {
    const content = await this.#options.tools.openFile(IMPORT_TOOL, artifact, `files/${path}`, this.#ended.signal);
    if (content === undefined) throw new AppError('NOT_FOUND', { message: `The file ${path} of ${artifact} is not there any more.` });
    const bytes = await readBounded(content, sizeBytes, `${path} is larger than the manifest says.`);
    if (sha256Hex(bytes) !== sha256)
      throw new AppError('DIGEST_MISMATCH', { message: `${path} of ${artifact} is not what the manifest says.` });
    return bytes;
  }
}
