import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createLogger } from '@selvedge/runtime';
import { makeDelta } from '@selvedge/runtime/delta-making';
import { TEST_FILES, testArchive, testAuthority } from '@selvedge/runtime/package-rig';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeDeltaStore } from '../../ports/delta-store.contract.ts';
import { FsBlobStore } from './fs-blob-store.ts';
import { FsDeltaStore, type MakeDelta } from './fs-delta-store.ts';
import { makeDeltaInChild } from './make-delta-in-child.ts';

const log = createLogger({ name: 'test', write: () => undefined });

async function rig(maxBytes = 1e9) {
  const root = await mkdtemp(join(tmpdir(), 'deltas-'));
  const blobs = new FsBlobStore(root);
  await blobs.start();
  const made: string[] = [];
  let gate = Promise.resolve();
  let open: () => void = () => undefined;
  const make: MakeDelta = async ({ base, target, path, maxBytes: limit }) => {
    made.push(`${base} ${target}`);
    await gate;
    const sizeBytes = await makeDelta({ base: blobs.path(base), target: blobs.path(target), patch: path, maxBytes: limit });
    return sizeBytes === undefined ? undefined : { sizeBytes };
  };
  const folder = join(root, 'deltas');
  const openStore = async () => {
    const store = new FsDeltaStore({ folder, make, maxBytes, log });
    await store.start();
    return store;
  };
  return {
    root,
    folder,
    blobs,
    made,
    openStore,
    put: async (content: Buffer) => (await blobs.put(Readable.from([content]))).sha256,
    hold: () => {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    release: () => open(),
    dispose: () => rm(root, { recursive: true }),
  };
}

describeDeltaStore('FsDeltaStore', async () => {
  const made = await rig();
  return { ...made, store: await made.openStore() };
});

describe('FsDeltaStore', () => {
  let under: Awaited<ReturnType<typeof rig>>;
  beforeEach(async () => {
    under = await rig(25_000);
  });
  afterEach(() => under.dispose());

  /** Two blobs whose patch has about this size. */
  async function pair(sizeBytes: number): Promise<[string, string]> {
    const base = randomBytes(40_000);
    return [await under.put(base), await under.put(Buffer.concat([base, randomBytes(sizeBytes)]))];
  }

  it('has after a restart what it had, but not what a crash or a hand left half', async () => {
    const first = await under.openStore();
    const [kept, damaged, refused] = [await pair(100), await pair(200), await pair(9000)];
    const patch = await first.get(...kept, 1000);
    const other = await first.get(...damaged, 1000);
    await first.get(...refused, 1000);
    await truncate(join(under.folder, other?.sha256 ?? ''), 10);
    await writeFile(join(under.folder, 'making'), 'half');
    await writeFile(join(under.folder, 'b'.repeat(64)), 'a patch that was not in the index yet');
    const second = await under.openStore();
    expect((await readdir(under.folder)).sort()).toEqual([patch?.sha256, 'index.json'].sort());
    under.made.length = 0;
    expect(await second.get(...kept, 1000)).toEqual(patch);
    expect(await second.get(...refused, 1000)).toBeUndefined();
    expect(under.made).toEqual([]);
    expect(await second.get(...damaged, 1000)).toEqual(other);
  });

  it('begins anew with a damaged index', async () => {
    await under.openStore();
    await writeFile(join(under.folder, 'index.json'), '{"entries": 5');
    const store = await under.openStore();
    expect(await store.get(...(await pair(100)), 1000)).toBeDefined();
  });

  it('keeps within its bound; what was asked for last stays', async () => {
    const store = await under.openStore();
    const pairs = [await pair(10_000), await pair(10_000), await pair(10_000)] as const;
    const first = await store.get(...pairs[0], 20_000);
    await store.get(...pairs[1], 20_000);
    await store.get(...pairs[0], 20_000);
    const third = await store.get(...pairs[2], 20_000);
    expect((await readdir(under.folder)).sort()).toEqual([first?.sha256, third?.sha256, 'index.json'].sort());
    await store.get(...pairs[1], 20_000);
    expect(under.made).toHaveLength(4);
  });

  it('makes patches in a process of its own, and ends it when it stops', async () => {
    const program = fileURLToPath(new URL('../../delta-maker/main.ts', import.meta.url));
    const command = [process.execPath, '--import', import.meta.resolve('tsx'), program];
    const make = makeDeltaInChild(command, (sha256) => under.blobs.path(sha256));
    const store = new FsDeltaStore({ folder: under.folder, make, maxBytes: 1e9, log });
    await store.start();
    const [base, target] = await pair(500);
    expect(await store.get(base, target, 60_000)).toMatchObject({ base, target });
    expect(await store.get(...(await pair(500)), 100)).toBeUndefined();
    expect(await store.get(base, 'c'.repeat(64), 60_000)).toBeUndefined();
    const archive = async (content: Buffer) => {
      const { signer } = await testAuthority();
      const files = [...TEST_FILES, { path: 'weights.bin', content }];
      return under.put(await testArchive(signer, { files }));
    };
    const weights = randomBytes(40_000);
    const packages = [await archive(weights), await archive(Buffer.concat([weights, randomBytes(50)]))] as const;
    const between = await store.get(...packages, 60_000, 'package');
    expect(between?.opened?.sizeBytes).toBeGreaterThan(45_000);
    expect(await store.get(...packages, 60_000)).not.toHaveProperty('opened');
    expect(await readdir(under.folder)).not.toContain('making.base');
    const again = new FsDeltaStore({ folder: under.folder, make: () => Promise.reject(new Error('is known')), maxBytes: 1e9, log });
    await again.start();
    expect(await again.get(...packages, 60_000, 'package')).toEqual(between);
    const asking = store.get(target, base, 60_000);
    await store.stop();
    expect(await asking).toBeUndefined();
  });
});
