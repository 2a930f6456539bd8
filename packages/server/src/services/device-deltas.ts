import { DELTA_FORMAT, type DeltaOffer, PACKAGE_DELTA_FORMAT } from '@selvedge/contract';
import type { BlobStore } from '../ports/blob-store.ts';
import type { DeltaPatch, DeltaStore } from '../ports/delta-store.ts';
import type { DeviceContent } from './device-content.ts';

/** Below it, asking costs as much as it saves. */
const SMALLEST_BYTES = 32 * 1024;
/** Making a patch takes one and a half times this in memory. */
const LARGEST_BYTES = 256 * 1024 * 1024;
/** A patch that is nearly as large as the whole is not worth the work of applying it. */
const WORTH_SHARE = 0.8;
/** How long a device is kept waiting while its patch is made; devices give up after 30 s of silence. */
const WAIT_MS = 20_000;

export interface DeviceDeltasOptions {
  content: DeviceContent;
  blobs: BlobStore;
  deltas: DeltaStore;
  /** Default 20 s. */
  waitMs?: number;
}

/**
 * Patches for devices, from what they say that they have.
 *
 * A device gets a patch only to what it may fetch whole, so nothing of the target is told that it may not know. A patch tells of
 * its base where parts of the target are in it: a device that only knew a base's digest could compare it with the target. So
 * only files of versions that this device runs or ran count as bases, and blobs of others cannot be probed.
 */
export class DeviceDeltas {
  readonly #options: DeviceDeltasOptions;

  constructor(options: DeviceDeltasOptions) {
    this.#options = options;
  }

  /**
   * How the device is to make a blob of one that it has; the first that it names and may have counts.
   *
   * @returns undefined: it is to fetch the whole, because it may not have the blob, there is no base, or a patch is not worth it or not
   *   ready soon. Then it goes on being made, for those who ask later.
   */
  async offer(device: string, sha256: string, from: readonly string[]): Promise<DeltaOffer | undefined> {
    const { content, blobs, deltas } = this.#options;
    const target = (await content.mayFetch(device, sha256)) ? await blobs.stat(sha256) : undefined;
    if (target === undefined || target.sizeBytes < SMALLEST_BYTES || target.sizeBytes > LARGEST_BYTES) return undefined;
    const base = await this.#chooseBase(device, sha256, from);
    if (base === undefined) return undefined;
    const patch = await this.#inTime(deltas.get(base, sha256, Math.floor(target.sizeBytes * WORTH_SHARE)));
    if (patch === undefined) return undefined;
    return { format: DELTA_FORMAT, from: base, patch: { sha256: patch.sha256, sizeBytes: patch.sizeBytes } };
  }

  /**
   * As `offer`, for native packages, which are named by their manifests: their archives are compressed, so the patch is between what
   * is in them.
   */
  async offerPackage(device: string, manifestSha256: string, from: readonly string[]): Promise<DeltaOffer | undefined> {
    const { content, blobs, deltas } = this.#options;
    const target = await content.packageToFetch(device, manifestSha256);
    if (target === undefined || target.archive.sizeBytes < SMALLEST_BYTES || target.archive.sizeBytes > LARGEST_BYTES) return undefined;
    if ((await blobs.stat(target.archive.sha256)) === undefined) return undefined;
    for (const candidate of from) {
      const base = candidate === manifestSha256 ? undefined : await content.packageOn(device, candidate);
      if (base === undefined || base.target !== target.target || (await blobs.stat(base.archive.sha256)) === undefined) continue;
      const { sha256, sizeBytes } = target.archive;
      const patch = await this.#inTime(deltas.get(base.archive.sha256, sha256, Math.floor(sizeBytes * WORTH_SHARE), 'package'));
      if (patch?.opened === undefined) return undefined;
      const { opened } = patch;
      return { format: PACKAGE_DELTA_FORMAT, from: candidate, patch: { sha256: patch.sha256, sizeBytes: patch.sizeBytes }, opened };
    }
    return undefined;
  }

  /** The patch with this digest, if the device may fetch what it makes. */
  async find(device: string, sha256: string): Promise<DeltaPatch | undefined> {
    for (const patch of this.#options.deltas.find(sha256)) if (await this.#options.content.mayFetch(device, patch.target)) return patch;
    return undefined;
  }

  async #chooseBase(device: string, sha256: string, from: readonly string[]): Promise<string | undefined> {
    const { content, blobs } = this.#options;
    for (const candidate of from) {
      if (candidate === sha256 || !(await content.mayHave(device, candidate))) continue;
      const info = await blobs.stat(candidate);
      if (info !== undefined && info.sizeBytes <= LARGEST_BYTES) return candidate;
    }
    return undefined;
  }

  async #inTime(making: Promise<DeltaPatch | undefined>): Promise<DeltaPatch | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#options.waitMs ?? WAIT_MS);
    });
    try {
      return await Promise.race([making, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
