import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore } from './blob-store.ts';

export interface BlobStoreUnderTest {
  /** An empty store, started. */
  store: BlobStore;
  /** Every file or object below the store, whole or not. */
  countStored(): Promise<number>;
  dispose(): Promise<void>;
}

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** What every BlobStore must do; adapters call this from their test file. */
export function describeBlobStore(name: string, make: () => Promise<BlobStoreUnderTest>): void {
  describe(`${name} as a BlobStore`, () => {
    let under: BlobStoreUnderTest;
    let store: BlobStore;
    beforeEach(async () => {
      under = await make();
      store = under.store;
    });
    afterEach(() => under.dispose());

    const read = async (digest: string, range?: { start: number; end: number }) => {
      const stream = await store.open(digest, range);
      return stream === undefined ? undefined : await buffer(stream);
    };

    it('gives back what was put, whole or a range of it', async () => {
      const content = randomBytes(1_000_000);
      const info = await store.put(Readable.from([content.subarray(0, 7), content.subarray(7)]), { expectedSha256: sha256(content) });
      expect(info).toEqual({ sha256: sha256(content), sizeBytes: 1_000_000 });
      expect(await store.stat(info.sha256)).toEqual(info);
      expect((await read(info.sha256))?.equals(content)).toBe(true);
      expect((await read(info.sha256, { start: 10, end: 19 }))?.equals(content.subarray(10, 20))).toBe(true);
      expect((await read(info.sha256, { start: 999_999, end: 999_999 }))?.equals(content.subarray(999_999))).toBe(true);
    });

    it('takes the empty blob', async () => {
      const info = await store.put(Readable.from([]));
      expect(info).toEqual({ sha256: sha256(Buffer.alloc(0)), sizeBytes: 0 });
      expect(await read(info.sha256)).toEqual(Buffer.alloc(0));
    });

    it('stores the same bytes once, also when they come at once', async () => {
      const content = randomBytes(100_000);
      const infos = await Promise.all([1, 2, 3].map(() => store.put(Readable.from([content]))));
      expect(new Set(infos.map((info) => info.sha256)).size).toBe(1);
      expect(await under.countStored()).toBe(1);
    });

    it('says undefined or false for what it does not have', async () => {
      const digest = 'ab'.repeat(32);
      expect(await store.stat(digest)).toBeUndefined();
      expect(await store.open(digest)).toBeUndefined();
      expect(await store.delete(digest)).toBe(false);
    });

    it('deletes', async () => {
      const { sha256: digest } = await store.put(Readable.from([Buffer.from('x')]));
      expect(await store.delete(digest)).toBe(true);
      expect(await store.stat(digest)).toBeUndefined();
    });

    it('leaves nothing when the digest differs, the limit is passed, the source breaks or the caller gives up', async () => {
      const content = randomBytes(200_000);
      await expect(store.put(Readable.from([content]), { expectedSha256: 'ab'.repeat(32) })).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
      });
      await expect(store.put(Readable.from([content]), { maxBytes: 199_999 })).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
      const breaks = async function* () {
        yield content;
        throw new Error('source broke');
      };
      await expect(store.put(Readable.from(breaks()))).rejects.toThrow('source broke');
      const abort = new AbortController();
      const endless = async function* () {
        for (;;) {
          yield content;
          abort.abort(new Error('given up'));
        }
      };
      await expect(store.put(Readable.from(endless()), { signal: abort.signal })).rejects.toThrow('given up');
      expect(await under.countStored()).toBe(0);
    });

    it('refuses names that are no digest', async () => {
      await expect(store.open('../../etc/passwd')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    });
  });
}
