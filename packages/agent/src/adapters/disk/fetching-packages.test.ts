import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { DeltaOffer, TransferCounts } from '@selvedge/contract';
import { createLogger, sha256Hex } from '@selvedge/runtime';
import { applyDelta, openedParts } from '@selvedge/runtime/delta';
import { makePackageDelta } from '@selvedge/runtime/delta-making';
import { TEST_FILES, type TestAuthority, testArchive, testAuthority, testManifest } from '@selvedge/runtime/package-rig';
import { canonicalManifest } from '@selvedge/runtime/package-sealing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VersionRecord } from '../../domain/agent-state.ts';
import { runPatcher } from '../process/run-patcher.ts';
import { DiskVersionStore } from './disk-version-store.ts';

const signal = new AbortController().signal;
const PATCHER = [
  process.execPath,
  '--import',
  import.meta.resolve('tsx'),
  fileURLToPath(new URL('../../patcher/main.ts', import.meta.url)),
];
const PROGRAM = randomBytes(300_000);
const RELINKED = Buffer.concat([PROGRAM.subarray(0, 200_000), randomBytes(700), PROGRAM.subarray(200_000)]);

/** What a device with one native package fetches of the next. */
describe('fetching a native package that is like another one', () => {
  let folder: string;
  let authority: TestAuthority;
  let store: DiskVersionStore;
  let blobs: Map<string, Buffer>;
  let offers: Map<string, DeltaOffer>;
  let sent: { sha256: string; offset: number }[];
  let warnings: string[];
  let room: number;
  /** Patches are applied as in the product, in a process that takes a second to start here. */
  let inChild: boolean;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fetching-packages-'));
    authority = await testAuthority();
    [blobs, offers, sent, warnings, room] = [new Map(), new Map(), [], [], 1e9];
    inChild = false;
    store = openStore();
    await fetchVersion(await publish('1', PROGRAM));
    sent = [];
  });
  afterEach(() => rm(folder, { recursive: true }));

  function openStore(): DiskVersionStore {
    return new DiskVersionStore({
      root: join(folder, 'versions'),
      log: createLogger({ name: 'test', level: 'warn', write: (line) => warnings.push(line) }),
      caPem: async () => authority.ca,
      openBlob: async (sha256, offset) => {
        sent.push({ sha256, offset });
        const content = blobs.get(sha256);
        if (content === undefined) return { status: 404, headers: {}, body: Readable.from([]) };
        return { status: offset > 0 ? 206 : 200, headers: {}, body: Readable.from([content.subarray(offset)]) };
      },
      applyDelta: async (request) =>
        inChild ? runPatcher(PATCHER, request) : applyDelta({ ...request, base: await openedParts(request.base) }),
      askDelta: async () => undefined,
      askPackageDelta: async ({ manifestSha256 }, from) => {
        const offer = offers.get(manifestSha256);
        return offer !== undefined && from.includes(offer.from) ? offer : undefined;
      },
      needRoom: async (bytes) => {
        if (bytes > room) throw new Error('no room');
      },
    });
  }

  async function publish(version: string, program: Buffer, signer = authority.signer): Promise<VersionRecord> {
    const files = [...TEST_FILES.filter(({ path }) => path !== 'run'), { path: 'run', content: program, executable: true }];
    const archive = await testArchive(signer, { files, manifest: { version } });
    const manifestSha256 = sha256Hex(canonicalManifest(testManifest(files, { version })));
    const described = { sha256: sha256Hex(archive), sizeBytes: archive.length };
    blobs.set(described.sha256, archive);
    const native = { package: `p-${version}`, model: 'digits', version, target: 'linux-amd64', archive: described, manifestSha256 };
    return { key: `v-${version}`, model: 'digits', version, manifest: { sha256: 'a'.repeat(64), sizeBytes: 1 }, native };
  }

  /** Has the server offer a patch. @returns what it is. */
  async function offer(base: VersionRecord, target: VersionRecord): Promise<Buffer> {
    const path = (name: string) => join(folder, name);
    await writeFile(path('base'), blobs.get(base.native?.archive.sha256 ?? '') ?? '');
    await writeFile(path('target'), blobs.get(target.native?.archive.sha256 ?? '') ?? '');
    const made = await makePackageDelta({ base: path('base'), target: path('target'), patch: path('patch'), maxBytes: 1e6 });
    const patch = await readFile(path('patch'));
    blobs.set(sha256Hex(patch), patch);
    offers.set(target.native?.manifestSha256 ?? '', {
      ...{ format: 'package+vcdiff+zstd', from: base.native?.manifestSha256 ?? '', opened: made?.opened },
      patch: { sha256: sha256Hex(patch), sizeBytes: patch.length },
    });
    return patch;
  }

  async function fetchVersion(record: VersionRecord): Promise<TransferCounts | undefined> {
    const cost = await store.fetch('w', record, () => undefined, signal);
    await store.verify('w', record, signal);
    expect((await readdir(store.folder('w', record.key))).sort()).toEqual([
      'manifest.json',
      'model.bin',
      'provenance.dsse.json',
      'run',
      'sbom.json',
    ]);
    expect(await readdir(join(folder, 'versions', 'w'))).not.toContain(`${record.key}.partial`);
    return cost;
  }
  const whole = ({ native }: VersionRecord) => native?.archive.sizeBytes ?? 0;

  it('takes a patch, and installs what the whole would have given', async () => {
    inChild = true;
    const [old, next] = [await publish('1', PROGRAM), await publish('2', RELINKED)];
    const patch = await offer(old, next);
    expect(patch.length).toBeLessThan(5000);
    const cost = await fetchVersion(next);
    expect(cost).toEqual({ wholeBytes: whole(next), fetchedBytes: patch.length, sharedBytes: 0, patchedBytes: whole(next) });
    expect(sent).toEqual([{ sha256: sha256Hex(patch), offset: 0 }]);
    const run = join(store.folder('w', 'v-2'), 'run');
    expect((await readFile(run)).equals(RELINKED)).toBe(true);
    expect((await stat(run)).mode & 0o111).toBe(0o111);
  });

  it('takes the whole where the patch is damaged, the base is, or there is no room for both', async () => {
    const [old, next] = [await publish('1', PROGRAM), await publish('2', RELINKED)];
    const patch = await offer(old, next);
    blobs.set(sha256Hex(patch), Buffer.from(patch).fill(0, 500, 520));
    expect(await fetchVersion(next)).toMatchObject({ patchedBytes: 0, fetchedBytes: whole(next) });
    expect(warnings.join()).toContain('DIGEST_MISMATCH');

    const third = await publish('3', Buffer.concat([RELINKED, randomBytes(300)]));
    const other = await offer(old, third);
    const run = join(store.folder('w', 'v-1'), 'run');
    await writeFile(run, Buffer.from(PROGRAM).fill(0, 7, 9));
    expect(await fetchVersion(third)).toMatchObject({ patchedBytes: 0, fetchedBytes: other.length + whole(third) });
    await writeFile(run, PROGRAM);

    const fourth = await publish('4', Buffer.concat([RELINKED, randomBytes(200)]));
    await offer(old, fourth);
    room = 0;
    await expect(store.fetch('w', fourth, () => undefined, signal)).rejects.toThrow('no room');
    room = 1e9;
    expect(await fetchVersion(fourth)).toMatchObject({ patchedBytes: 0 });
  });

  it('installs nothing by a patch that the signed manifest does not say', async () => {
    const [old, next] = [await publish('1', PROGRAM), await publish('2', RELINKED)];
    // a patch to another version, one to a package of somebody else, and one whose parts are said to be elsewhere
    const [wrong, foreign] = [await publish('9', RELINKED), await publish('2', RELINKED, (await testAuthority()).signer)];
    for (const [index, target] of [wrong, foreign].entries()) {
      await offer(old, target);
      const bad = offers.get(target.native?.manifestSha256 ?? '');
      if (bad !== undefined) offers.set(next.native?.manifestSha256 ?? '', bad);
      const cost = await fetchVersion({ ...next, key: `v-2${index}` });
      expect(cost).toMatchObject({ patchedBytes: 0 });
    }
    expect(warnings.join()).toContain('SIGNATURE_INVALID');
    await offer(old, next);
    const good = offers.get(next.native?.manifestSha256 ?? '');
    if (good?.opened === undefined) throw new Error('there is an offer');
    for (const opened of [{ ...good.opened, manifestBytes: good.opened.manifestBytes - 1 }, { ...good.opened, sizeBytes: 10 }, undefined]) {
      store = openStore(); // this one has not seen the patch fail
      offers.set(next.native?.manifestSha256 ?? '', { ...good, opened });
      expect(await fetchVersion({ ...next, key: `v-x${opened?.sizeBytes}` })).toMatchObject({ patchedBytes: 0 });
    }
  });
});
