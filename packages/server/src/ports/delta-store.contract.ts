import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeltaStore } from './delta-store.ts';

export interface DeltaStoreUnderTest {
  /** An empty store, started, whose patches are made by `making`. */
  store: DeltaStore;
  /** Puts content where the store reads blobs. @returns its digest. */
  put(content: Buffer): Promise<string>;
  /** The pairs that were made, as `BASE TARGET`; the making of each waits until `release` is called. */
  made: string[];
  hold(): void;
  release(): void;
  dispose(): Promise<void>;
}

/** What every DeltaStore must do; adapters call this from their test file. */
export function describeDeltaStore(name: string, make: () => Promise<DeltaStoreUnderTest>): void {
  describe(`${name} as a DeltaStore`, () => {
    let under: DeltaStoreUnderTest;
    let store: DeltaStore;
    beforeEach(async () => {
      under = await make();
      store = under.store;
    });
    afterEach(() => under.dispose());

    async function pair(extra = 100) {
      const base = randomBytes(50_000);
      const target = Buffer.concat([base, randomBytes(extra)]);
      return { base: await under.put(base), target: await under.put(target) };
    }

    it('gives a patch that is found by its digest, whole and in parts', async () => {
      const { base, target } = await pair();
      const patch = await store.get(base, target, 10_000);
      expect(patch).toMatchObject({ base, target });
      const { sha256 = '', sizeBytes = 0 } = patch ?? {};
      const stream = await store.open(sha256);
      const content = stream === undefined ? Buffer.alloc(0) : await buffer(stream);
      expect(content).toHaveLength(sizeBytes);
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
      const part = await store.open(sha256, { start: 10, end: 19 });
      expect(part && (await buffer(part))).toEqual(content.subarray(10, 20));
      expect(store.find(sha256)).toEqual([patch]);
      expect(store.find(base)).toEqual([]);
      expect(await store.open(base)).toBeUndefined();
    });

    it('makes a patch once, however many ask', async () => {
      const { base, target } = await pair();
      under.hold();
      const asking = Array.from({ length: 5 }, () => store.get(base, target, 10_000));
      under.release();
      const patches = await Promise.all(asking);
      expect(new Set(patches.map((patch) => patch?.sha256)).size).toBe(1);
      await store.get(base, target, 10_000);
      expect(under.made).toEqual([`${base} ${target}`]);
    });

    it('remembers what was not worth it', async () => {
      const { base, target } = await pair(40_000);
      expect(await store.get(base, target, 10_000)).toBeUndefined();
      expect(await store.get(base, target, 10_000)).toBeUndefined();
      expect(under.made).toHaveLength(1);
    });

    it('makes one at a time', async () => {
      const pairs = [await pair(), await pair()];
      under.hold();
      const asking = pairs.map(({ base, target }) => store.get(base, target, 10_000));
      await new Promise((resolve) => setImmediate(resolve));
      expect(under.made.length).toBeLessThanOrEqual(1);
      under.release();
      expect(await Promise.all(asking)).not.toContain(undefined);
      expect(under.made).toEqual(pairs.map(({ base, target }) => `${base} ${target}`));
    });

    it('gives nothing where it cannot be made, and does not try again and again', async () => {
      const { base } = await pair();
      const absent = 'a'.repeat(64);
      expect(await store.get(base, absent, 10_000)).toBeUndefined();
      expect(await store.get(base, absent, 10_000)).toBeUndefined();
      expect(under.made).toHaveLength(1);
    });
  });
}
