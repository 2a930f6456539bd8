import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { openedPackageSchema, sha256Schema } from '@selvedge/contract';
import { describeError, type Logger, readJsonFile, sha256File, syncFolder, systemErrorCode, writeFileAtomic } from '@selvedge/runtime';
import * as z from 'zod';
import type { DeltaKind, DeltaPatch, DeltaStore } from '../../ports/delta-store.ts';

/**
 * Writes the patch from one blob to another one to a file.
 *
 * @returns its size, and what it gives when `kind` is `package`; undefined when it would have more than `maxBytes`.
 */
export type MakeDelta = (request: {
  base: string;
  target: string;
  path: string;
  maxBytes: number;
  kind: DeltaKind;
  signal: AbortSignal;
}) => Promise<MadeDelta | undefined>;

export type MadeDelta = Pick<DeltaPatch, 'sizeBytes' | 'opened'>;

export interface FsDeltaStoreOptions {
  folder: string;
  make: MakeDelta;
  /** What all patches together may take; the ones that were not asked for the longest go first. */
  maxBytes: number;
  log: Logger;
}

/** What is known of a pair; `patch` is null where none was worth it. */
const entrySchema = z.object({
  base: sha256Schema,
  target: sha256Schema,
  kind: z.literal('package').optional(),
  patch: z.object({ sha256: sha256Schema, sizeBytes: z.int().min(0), opened: openedPackageSchema.optional() }).nullable(),
});
type Entry = z.infer<typeof entrySchema>;
const MAX_ENTRIES = 10_000;
const indexSchema = z.object({ formatVersion: z.literal(1), entries: z.array(entrySchema).max(MAX_ENTRIES) });

const INDEX = 'index.json';
const MAKING = 'making';
/** Pairs that wait for their turn; more than a fleet asks for at a time. */
const MAX_WAITING = 64;

const keyOf = ({ base, target, kind }: Pick<Entry, 'base' | 'target' | 'kind'>) => `${base} ${target} ${kind ?? 'file'}`;

/**
 * Patches as files named by their digest, and an index of pairs in one folder. What a crash leaves is either in the index and
 * whole, or swept at the next start.
 */
export class FsDeltaStore implements DeltaStore {
  readonly #options: FsDeltaStoreOptions;
  /** The one that was asked for last is the last. */
  readonly #entries = new Map<string, Entry>();
  readonly #making = new Map<string, Promise<DeltaPatch | undefined>>();
  /** Pairs whose making broke: not tried again by this process. */
  readonly #broken = new Set<string>();
  #last: Promise<unknown> = Promise.resolve();
  #stopping = new AbortController();

  constructor(options: FsDeltaStoreOptions) {
    this.#options = options;
  }

  /** Reads the index, and sweeps what does not belong to it. May be called again after `stop`. */
  async start(): Promise<void> {
    const { folder, log } = this.#options;
    this.#stopping = new AbortController();
    await mkdir(folder, { recursive: true });
    const index = await readJsonFile(join(folder, INDEX), indexSchema).catch((error: unknown) => {
      log.warn('the index of patches is damaged; they are made anew', describeError(error));
      return undefined;
    });
    this.#entries.clear();
    for (const entry of index?.entries ?? []) if (await this.#isThere(entry)) this.#entries.set(keyOf(entry), entry);
    const known = new Set([...this.#entries.values()].map(({ patch }) => patch?.sha256));
    for (const name of await readdir(folder)) if (name !== INDEX && !known.has(name)) await rm(join(folder, name), { force: true });
  }

  /** Ends what is being made. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#making.values());
  }

  async get(base: string, target: string, maxBytes: number, kind: DeltaKind = 'file'): Promise<DeltaPatch | undefined> {
    const pair = { base, target, ...(kind === 'file' ? {} : { kind }) };
    const key = keyOf(pair);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return patchOf(known);
    }
    const under = this.#making.get(key);
    if (under !== undefined) return under;
    if (this.#broken.has(key) || this.#making.size >= MAX_WAITING) return undefined;
    const making = this.#last.then(() => this.#make(pair, maxBytes)).finally(() => this.#making.delete(key));
    this.#last = making;
    this.#making.set(key, making);
    return making;
  }

  find(sha256: string): readonly DeltaPatch[] {
    return [...this.#entries.values()].flatMap((entry) => (entry.patch?.sha256 === sha256 ? (patchOf(entry) ?? []) : []));
  }

  async open(sha256: string, range?: { start: number; end: number }): Promise<Readable | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(this.#path(sha256), 'r');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    return createReadStream('', { fd: handle, highWaterMark: 256 * 1024, ...range });
  }

  /** Never throws: whoever waits for a patch can do without it. */
  async #make(pair: Omit<Entry, 'patch'>, maxBytes: number): Promise<DeltaPatch | undefined> {
    const { folder, make, log } = this.#options;
    const { signal } = this.#stopping;
    const { base, target, kind = 'file' } = pair;
    const path = join(folder, MAKING);
    const startedAt = performance.now();
    try {
      signal.throwIfAborted();
      const made = await make({ base, target, path, maxBytes, kind, signal });
      const patch = made === undefined ? null : { sha256: await sha256File(path, signal), ...made };
      if (patch !== null) {
        await rename(path, this.#path(patch.sha256));
        await syncFolder(folder);
      }
      log.info('patch made', { base, target, sizeBytes: patch?.sizeBytes ?? null, ms: Math.round(performance.now() - startedAt) });
      return await this.#keep({ ...pair, patch });
    } catch (error) {
      if (signal.aborted) return undefined;
      log.warn('a patch could not be made; devices fetch the whole', { base, target, ...describeError(error) });
      this.#broken.add(keyOf(pair));
      return undefined;
    } finally {
      await rm(path, { force: true });
    }
  }

  async #keep(entry: Entry): Promise<DeltaPatch | undefined> {
    this.#entries.set(keyOf(entry), entry);
    const gone = this.#makeRoom();
    await this.#writeIndex();
    for (const sha256 of gone) if (this.find(sha256).length === 0) await rm(this.#path(sha256), { force: true });
    return patchOf(entry);
  }

  /** Takes the oldest entries out until the rest has room; the newest always stays. @returns digests of their patches. */
  #makeRoom(): string[] {
    const gone: string[] = [];
    let total = [...this.#entries.values()].reduce((sum, { patch }) => sum + (patch?.sizeBytes ?? 0), 0);
    for (const [key, { patch }] of this.#entries) {
      const hasRoom = total <= this.#options.maxBytes && this.#entries.size <= MAX_ENTRIES;
      if (hasRoom || this.#entries.size === 1) break;
      if (patch === null && this.#entries.size <= MAX_ENTRIES) continue;
      this.#entries.delete(key);
      total -= patch?.sizeBytes ?? 0;
      if (patch !== null) gone.push(patch.sha256);
    }
    return gone;
  }

  async #writeIndex(): Promise<void> {
    const index = { formatVersion: 1, entries: [...this.#entries.values()] };
    await writeFileAtomic(join(this.#options.folder, INDEX), `${JSON.stringify(index)}\n`);
  }

  async #isThere({ patch }: Entry): Promise<boolean> {
    if (patch === null) return true;
    try {
      return (await stat(this.#path(patch.sha256))).size === patch.sizeBytes;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  #path(sha256: string): string {
    return join(this.#options.folder, sha256Schema.parse(sha256));
  }
}

function patchOf({ base, target, patch }: Entry): DeltaPatch | undefined {
  return patch === null ? undefined : { ...patch, base, target };
}
