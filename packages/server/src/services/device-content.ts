import { buffer } from 'node:stream/consumers';
import { type DesiredState, type NativePackageReference, type Package, packageManifestSchema } from '@selvedge/contract';
import { builtOf } from '../domain/native-choice.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { DeviceRecordStore, ResourceStore } from '../ports/store.ts';
import { modelVersionName } from './model-registry.ts';

const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;
const MAX_CACHED_MANIFESTS = 500;

/**
 * Which blobs a device may fetch: the package manifests, native packages and golden sets that its desired state names, the
 * files in the first, and the packages that it is asked to measure.
 */
export class DeviceContent {
  readonly #store: DeviceRecordStore & ResourceStore;
  readonly #blobs: BlobStore;
  /** Digests of the files of each manifest; a manifest never changes, being named by its digest. */
  readonly #files = new Map<string, ReadonlySet<string>>();

  readonly #isGranted: (device: string, sha256: string) => boolean;
  readonly #packages: () => Iterable<Package>;

  constructor(
    store: DeviceRecordStore & ResourceStore,
    blobs: BlobStore,
    isGranted: (device: string, sha256: string) => boolean,
    packages: () => Iterable<Package>,
  ) {
    this.#packages = packages;
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

  /** Whether it is a file that the device may have: of a version that it is told, or says that it serves or keeps. */
  async mayHave(device: string, sha256: string): Promise<boolean> {
    if (await this.mayFetch(device, sha256)) return true;
    const desired = await this.#store.readDesiredState(device);
    for (const { model, version } of await this.#versionsOn(device, desired)) {
      const known = await this.#store.get('ModelVersion', modelVersionName(model, version));
      if (known !== undefined && (await this.#filesOf(known.spec.bundle.sha256)).has(sha256)) return true;
    }
    return false;
  }

  /** The native package with this manifest, if the device is told to run it. */
  async packageToFetch(device: string, manifestSha256: string): Promise<NativePackageReference | undefined> {
    const desired = await this.#store.readDesiredState(device);
    return desired?.workloads.map(({ native }) => native).find((native) => native?.manifestSha256 === manifestSha256);
  }

  /** The native package with this manifest, if the device may have it: as `mayHave` says of files. */
  async packageOn(device: string, manifestSha256: string): Promise<NativePackageReference | undefined> {
    const told = await this.packageToFetch(device, manifestSha256);
    if (told !== undefined) return told;
    for (const one of this.#packages()) {
      const built = one.status.manifestSha256 === manifestSha256 ? builtOf(one) : undefined;
      if (built === undefined) continue;
      const versions = await this.#versionsOn(device, await this.#store.readDesiredState(device));
      if (versions.some(({ model, version }) => model === built.model && version === built.version)) return built;
    }
    return undefined;
  }

  /** What a device says that it serves or keeps is believed for models that it is told to serve only. */
  async #versionsOn(device: string, desired: DesiredState | undefined): Promise<{ model: string; version: string }[]> {
    const models = new Set(desired?.workloads.map(({ model }) => model));
    const found = await this.#store.get('Device', device);
    return (found?.status.workloads ?? [])
      .filter(({ model }) => models.has(model))
      .flatMap(({ model, servingVersion, previousVersion }) =>
        [servingVersion, previousVersion].flatMap((version) => (version === null ? [] : { model, version })),
      );
  }

  /** All that a device with this desired state may fetch for it, each once. */
  async contentOf({ workloads }: DesiredState): Promise<Set<string>> {
    const found = new Set<string>();
    for (const { manifest, native, trial } of workloads) {
      found.add(manifest.sha256);
      for (const sha256 of await this.#filesOf(manifest.sha256)) found.add(sha256);
      if (native !== undefined) found.add(native.archive.sha256);
      if (trial?.golden != null) found.add(trial.golden.sha256);
    }
    return found;
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
