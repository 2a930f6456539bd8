import { buffer } from 'node:stream/consumers';
import { packageManifestSchema } from '@selvedge/contract';
import type { BlobStore } from '../ports/blob-store.ts';
import type { DeviceRecordStore } from '../ports/store.ts';

const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;
const MAX_CACHED_MANIFESTS = 500;

/**
 * Which blobs a device may fetch: the package manifests, native packages and golden sets that its desired state names, the
 * files in the first, and the packages that it is asked to measure.
 */
export class DeviceContent {
  readonly #store: DeviceRecordStore;
  readonly #blobs: BlobStore;
  /** Digests of the files of each manifest; a manifest never changes, being named by its digest. */
  readonly #files = new Map<string, ReadonlySet<string>>();

  readonly #isGranted: (device: string, sha256: string) => boolean;

  constructor(store: DeviceRecordStore, blobs: BlobStore, isGranted: (device: string, sha256: string) => boolean) {
    this.#store = store;
    this.#blobs = blobs;
    this.#isGranted = isGranted;
  }

  async mayFetch(device: string, sha256: string): Promise<boolean> {
    if (this.#isGranted(device, sha256)) return true;
    const desired = await this.#store.readDesiredState(device);
    const isNamed = desired?.workloads.some(({ native, trial }) => native?.archive.sha256 === sha256 || trial?.golden?.sha256 === sha256);
    if (isNamed === true) return true;
    const manifests = desired?.workloads.map((workload) => workload.manifest.sha256) ?? [];
    if (manifests.includes(sha256)) return true;
    for (const manifest of manifests) if ((await this.#filesOf(manifest)).has(sha256)) return true;
    return false;
  }

  async #filesOf(manifest: string): Promise<ReadonlySet<string>> {
    const cached = this.#files.get(manifest);
    if (cached !== undefined) return cached;
    const info = await this.#blobs.stat(manifest);
    const content = info === undefined || info.sizeBytes > MAX_MANIFEST_BYTES ? undefined : await this.#blobs.open(manifest);
    if (content === undefined) return new Set();
    const { files } = packageManifestSchema.parse(JSON.parse((await buffer(content)).toString('utf8')));
    const digests = new Set(files.map((file) => file.sha256));
    this.#files.set(manifest, digests);
    const [oldest] = this.#files.keys();
    if (this.#files.size > MAX_CACHED_MANIFESTS && oldest !== undefined) this.#files.delete(oldest);
    return digests;
  }
}
