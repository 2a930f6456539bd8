import { AppError, type DatasetRemoval, type DatasetVersion } from '@selvedge/contract';
import { describeError, type Logger, type SerialRunner } from '@selvedge/runtime';
import { ACTIVE_LABEL } from '../domain/run-markers.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { all, blobsNeededBeside, blobsOf, datasetUsage } from './dataset-usage.ts';
import { draftOf, withoutKey } from './draft-of.ts';

const IMPORT_TOOL = 'import';
/** A version with the content of another is there until whoever added it has seen that. */
const TWIN_KEPT_MS = 10 * 60_000;
const SWEEP_MS = 5 * 60_000;
/** Users of a version that a message names. */
const MAX_NAMED = 5;

export interface DatasetGarbageOptions {
  store: Store;
  blobs: BlobStore;
  tools: ToolClient;
  /** The one that registers versions: no archive is deleted while something that has the same bytes is being registered. */
  serial: SerialRunner;
  clock: () => Date;
  log: Logger;
}

export interface RemovalRequest {
  /** One version; without it all. */
  readonly version?: number | undefined;
  /** Only those that nothing needs, but for the newest `keep`. */
  readonly unused?: boolean | undefined;
  readonly keep?: number | undefined;
}

/**
 * Removes dataset versions and frees what only they needed.
 *
 * A removal is first written down (phase Removing) and then done: artifact, blobs, and last the version itself. After a
 * crash anywhere in between it is done again from the start; each part may find itself done already.
 */
export class DatasetGarbage {
  readonly #options: DatasetGarbageOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DatasetGarbageOptions) {
    this.#options = options;
  }

  start(): void {
    const sweep = () => this.#sweepTwins().catch((error: unknown) => this.#options.log.warn('sweep failed', describeError(error)));
    this.#timer = setInterval(() => void sweep(), SWEEP_MS);
    this.#timer.unref();
    void sweep();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** @throws AppError NOT_FOUND, CONFLICT (user) with what needs the version; nothing was removed then. */
  async remove(dataset: string, request: RemovalRequest): Promise<DatasetRemoval> {
    const { store } = this.#options;
    const found = await store.get('Dataset', dataset);
    if (found === undefined) {
      throw new AppError('NOT_FOUND', {
        message: `There is no dataset "${dataset}".`,
        hint: '"selvedge dataset list" shows what there is.',
      });
    }
    const versions = await this.#versionsOf(dataset, request);
    const usage = await datasetUsage(store);
    const chosen = choose(versions, request, usage);
    const removed: string[] = [];
    // The newest first: a version that was split off another goes before it.
    for (const version of chosen.remove.toReversed()) {
      await this.#removeOne(version);
      removed.push(version.metadata.name);
    }
    if (request.version === undefined && request.unused !== true) await store.delete('Dataset', dataset);
    return { removed, kept: chosen.kept };
  }

  /** As `remove`, of one version by its name; nothing when there is none. */
  async removeVersion(name: string): Promise<void> {
    const version = await this.#options.store.get('DatasetVersion', name);
    if (version !== undefined) await this.remove(version.spec.dataset, { version: version.spec.version });
  }

  /** Frees what a version marked as Removing has. @throws AppError TOOL_UNAVAILABLE (operational): to be tried again. */
  async finish(version: DatasetVersion): Promise<void> {
    const { store, tools, blobs, serial, log } = this.#options;
    const { name } = version.metadata;
    await this.#unlist(version);
    await tools.removeArtifact(IMPORT_TOOL, version.status.artifact);
    await serial.run(async () => {
      const needed = await blobsNeededBeside(store, version);
      for (const digest of blobsOf(version)) if (!needed.has(digest)) await blobs.delete(digest);
      await store.delete('DatasetVersion', name);
    });
    log.info('dataset version removed', { version: name });
  }

  /** Oldest first. With the dataset goes all of it, also what is not listed: versions whose content another one has. */
  async #versionsOf(dataset: string, { version: wanted, unused }: RemovalRequest): Promise<DatasetVersion[]> {
    const versions: DatasetVersion[] = [];
    for await (const version of all(this.#options.store, 'DatasetVersion')) {
      const { spec, status } = version;
      if (spec.dataset !== dataset || (wanted !== undefined && spec.version !== wanted)) continue;
      if (wanted === undefined && unused === true && status.sameAs !== undefined) continue;
      versions.push(version);
    }
    if (wanted !== undefined && versions.length === 0) {
      throw new AppError('NOT_FOUND', {
        message: `Dataset "${dataset}" has no version ${wanted}.`,
        hint: `"selvedge dataset show ${dataset}" lists them.`,
      });
    }
    return versions.sort((a, b) => a.spec.version - b.spec.version);
  }

  async #removeOne(version: DatasetVersion): Promise<void> {
    const { store, log } = this.#options;
    const { name } = version.metadata;
    const before = version.status;
    const marked = await store.update('DatasetVersion', name, (current) =>
      draftOf(current, {
        labels: { ...current.metadata.labels, [ACTIVE_LABEL]: 'true' },
        status: { ...current.status, phase: 'Removing', message: 'its space is being freed' },
      }),
    );
    if (marked === undefined) return;
    // A run may have begun with it since it was looked at; from here on none can.
    const users = (await datasetUsage(store)).get(name);
    if (users !== undefined) {
      await store.update('DatasetVersion', name, (current) =>
        draftOf(current, {
          labels:
            version.metadata.labels[ACTIVE_LABEL] === undefined
              ? withoutKey(current.metadata.labels, ACTIVE_LABEL)
              : current.metadata.labels,
          status: before,
        }),
      );
      throw inUse(name, users);
    }
    try {
      await this.finish(marked);
    } catch (error) {
      log.warn('removal goes on later', { version: name, ...describeError(error) });
    }
  }

  async #unlist({ spec }: DatasetVersion): Promise<void> {
    await this.#options.store.update('Dataset', spec.dataset, (current) => {
      const versions = current.status.versions.filter((number) => number !== spec.version);
      const latestVersion = current.status.latestVersion === spec.version ? (versions.at(-1) ?? null) : current.status.latestVersion;
      return draftOf(current, { status: { versions, latestVersion } });
    });
  }

  async #sweepTwins(): Promise<void> {
    const { store, clock } = this.#options;
    for await (const version of all(store, 'DatasetVersion')) {
      const { status, metadata } = version;
      const isOld = clock().getTime() - Date.parse(metadata.updatedAt) > TWIN_KEPT_MS;
      if (status.phase === 'Ready' && status.sameAs !== undefined && isOld) await this.#removeOne(version);
    }
  }
}

function choose(
  versions: readonly DatasetVersion[],
  { unused, keep = 1 }: RemovalRequest,
  usage: ReadonlyMap<string, readonly string[]>,
): { remove: DatasetVersion[]; kept: DatasetRemoval['kept'] } {
  const names = new Set(versions.map(({ metadata }) => metadata.name));
  const usersOf = ({ metadata }: DatasetVersion) => usage.get(metadata.name) ?? [];
  if (unused === true) {
    const newest = new Set(keep === 0 ? [] : versions.slice(-keep));
    const isKept = (version: DatasetVersion) => newest.has(version) || usersOf(version).length > 0;
    const because = (version: DatasetVersion) => [...(newest.has(version) ? ['one of the newest'] : []), ...usersOf(version)];
    const kept = versions.filter(isKept).map((version) => ({ version: version.metadata.name, because: because(version) }));
    return { remove: versions.filter((version) => !isKept(version)), kept };
  }
  for (const version of versions) {
    // What goes in the same breath does not count.
    const others = usersOf(version).filter((user) => !names.has(user.replace('datasetversion/', '')));
    if (others.length > 0) throw inUse(version.metadata.name, others);
  }
  return { remove: [...versions], kept: [] };
}

function inUse(name: string, users: readonly string[]): AppError {
  const named = users.slice(0, MAX_NAMED).join(', ');
  return new AppError('CONFLICT', {
    message: `Dataset version "${name}" is needed by ${named}${users.length > MAX_NAMED ? ` and ${users.length - MAX_NAMED} more` : ''}.`,
    hint: 'Delete those first ("selvedge delete KIND/NAME"), or remove only what nothing needs (selvedge dataset rm NAME --unused).',
    data: { users: users.slice(0, 100) },
  });
}
