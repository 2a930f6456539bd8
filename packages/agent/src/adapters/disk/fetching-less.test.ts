import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeltaOffer, PackageManifest, TransferCounts } from '@selvedge/contract';
import { createLogger, type DownloadResponse, sha256Hex, waitUntil } from '@selvedge/runtime';
import { applyDelta } from '@selvedge/runtime/delta';
import { makeDelta } from '@selvedge/runtime/delta-making';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VersionRecord } from '../../domain/agent-state.ts';
import { makePackage } from '../../testing/make-package.ts';
import { DiskVersionStore } from './disk-version-store.ts';

const signal = new AbortController().signal;
const MODEL = randomBytes(300_000);
const TRAINED = Buffer.concat([MODEL.subarray(0, 200_000), randomBytes(3000), MODEL.subarray(200_000)]);
const LABELS = Buffer.from('the same in every version '.repeat(4000));

/** What versions share and differ in, fetched over HTTP: how many bytes it takes, and what happens when something goes wrong. */
describe('fetching a version that is like another one', () => {
  let folder: string;
  let server: Server;
  let blobs: Map<string, Buffer>;
  let sentBytes: number;
  let asked: { sha256: string; offset: number }[];
  let askedFor: readonly string[][];
  let fault: ((response: ServerResponse, content: Buffer, sha256: string, offset: number) => boolean) | undefined;
  let offers: Map<string, DeltaOffer>;
  let warnings: string[];
  let store: DiskVersionStore;

  const openBlob = (sha256: string, offset: number) =>
    new Promise<DownloadResponse>((resolve, reject) => {
      const { port } = server.address() as AddressInfo;
      const headers = offset > 0 ? { range: `bytes=${offset}-` } : {};
      get({ port, path: `/${sha256}`, headers }, (response: IncomingMessage) =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response }),
      ).on('error', reject);
    });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fetching-less-'));
    blobs = new Map();
    offers = new Map();
    asked = [];
    askedFor = [];
    warnings = [];
    fault = undefined;
    sentBytes = 0;
    server = createServer((request, response) => {
      const sha256 = (request.url ?? '').slice(1);
      const offset = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const content = blobs.get(sha256);
      asked.push({ sha256, offset });
      if (content === undefined) return response.writeHead(404).end();
      if (fault?.(response, content, sha256, offset) === true) return response;
      sentBytes += content.length - offset;
      return response.writeHead(offset > 0 ? 206 : 200, { 'content-length': content.length - offset }).end(content.subarray(offset));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    store = openStore();
    await fetchVersion('1', { 'weights.bin': MODEL, 'labels.txt': LABELS });
    sentBytes = 0;
    asked = [];
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });

  function openStore(): DiskVersionStore {
    return new DiskVersionStore({
      root: join(folder, 'versions'),
      log: createLogger({ name: 'test', level: 'warn', write: (line) => warnings.push(line) }),
      caPem: async () => '',
      openBlob,
      applyDelta,
      askPackageDelta: async () => undefined,
      askDelta: async (sha256, from) => {
        askedFor = [...askedFor, [...from]];
        const offer = offers.get(sha256);
        return offer !== undefined && from.includes(offer.from) ? offer : undefined;
      },
    });
  }

  function publish(version: string, contents: Record<string, Buffer>): VersionRecord {
    const { manifest } = makePackage({ version });
    const files = Object.entries(contents).map(([path, bytes]) => ({ path, sha256: sha256Hex(bytes), sizeBytes: bytes.length }));
    const described: PackageManifest = { ...manifest, files, modelFile: 'weights.bin', goldenFile: null };
    const bytes = Buffer.from(JSON.stringify(described));
    for (const content of [bytes, ...Object.values(contents)]) blobs.set(sha256Hex(content), content);
    return { key: `v-${version}`, model: manifest.model, version, manifest: { sha256: sha256Hex(bytes), sizeBytes: bytes.length } };
  }

  async function fetchVersion(version: string, contents: Record<string, Buffer>, workload = 'w'): Promise<TransferCounts | undefined> {
    const record = publish(version, contents);
    const cost = await store.fetch(workload, record, () => undefined, signal);
    await store.verify(workload, record, signal);
    return cost;
  }

  /** Has the server offer a patch. @returns what it is. */
  async function offer(base: Buffer, target: Buffer): Promise<Buffer> {
    const path = (name: string) => join(folder, name);
    await writeFile(path('base'), base);
    await writeFile(path('target'), target);
    await makeDelta({ base: path('base'), target: path('target'), patch: path('patch'), maxBytes: target.length });
    const patch = await readFile(path('patch'));
    blobs.set(sha256Hex(patch), patch);
    offers.set(sha256Hex(target), {
      format: 'vcdiff+zstd',
      from: sha256Hex(base),
      patch: { sha256: sha256Hex(patch), sizeBytes: patch.length },
    });
    return patch;
  }
  const manifestBytes = (version: string) => blobsOf(version).length;
  const blobsOf = (version: string) => [...blobs.values()].find((bytes) => bytes.includes(`"version":"${version}"`)) ?? Buffer.alloc(0);
  const weights = (version: string) => join(store.folder('w', `v-${version}`), 'weights.bin');

  it('takes from the disk what it has, also of another workload, by a copy of its own', async () => {
    const cost = await fetchVersion('2', { 'weights.bin': TRAINED, 'other-name.txt': LABELS });
    expect(cost).toMatchObject({ sharedBytes: LABELS.length, patchedBytes: 0, fetchedBytes: TRAINED.length + manifestBytes('2') });
    const other = await fetchVersion('3', { 'weights.bin': MODEL, 'labels.txt': LABELS }, 'another');
    expect(other).toMatchObject({ sharedBytes: MODEL.length + LABELS.length, fetchedBytes: manifestBytes('3') });
    expect(sentBytes).toBe(TRAINED.length + manifestBytes('2') + manifestBytes('3'));
    const inodes = [weights('1'), join(store.folder('another', 'v-3'), 'weights.bin')].map(async (path) => (await stat(path)).ino);
    expect(new Set(await Promise.all(inodes)).size).toBe(2);
  });

  it('fetches a patch where there is one, and says what it cost', async () => {
    const patch = await offer(MODEL, TRAINED);
    const cost = await fetchVersion('2', { 'weights.bin': TRAINED, 'labels.txt': LABELS });
    const fetchedBytes = patch.length + manifestBytes('2');
    const wholeBytes = TRAINED.length + LABELS.length + manifestBytes('2');
    expect(cost).toEqual({ wholeBytes, fetchedBytes, sharedBytes: LABELS.length, patchedBytes: TRAINED.length });
    expect(sentBytes).toBe(fetchedBytes);
    expect(fetchedBytes).toBeLessThan(6000);
    expect((await readFile(weights('2'))).equals(TRAINED)).toBe(true);
    expect((await readdir(store.folder('w', 'v-2'))).sort()).toEqual(['labels.txt', 'manifest.json', 'weights.bin']);
    expect(askedFor.at(-1)?.[0]).toBe(sha256Hex(MODEL));
  });

  it('resumes a patch that was cut, after a restart as well', async () => {
    const patch = await offer(MODEL, TRAINED);
    const stopping = new AbortController();
    fault = (response, content, sha256, offset) => {
      if (sha256 !== sha256Hex(patch)) return false;
      if (offset > 0) {
        fault = undefined;
        stopping.abort(new Error('the agent ends'));
        response.destroy();
      } else {
        response.writeHead(200, { 'content-length': content.length });
        response.write(content.subarray(0, 1000));
        const arrived = async () => {
          const part = (await readdir(folder, { recursive: true })).find((path) => path.endsWith(`${sha256}.part`));
          return part !== undefined && (await stat(join(folder, part))).size > 0;
        };
        void waitUntil(arrived, { timeoutMs: 30_000, what: 'the beginning of the patch' }).finally(() => response.destroy());
      }
      return true;
    };
    const record = publish('2', { 'weights.bin': TRAINED, 'labels.txt': LABELS });
    const first = store.fetch('w', record, () => undefined, stopping.signal);
    await expect(first).rejects.toThrow('the agent ends');
    store = openStore();
    const cost = await fetchVersion('2', { 'weights.bin': TRAINED, 'labels.txt': LABELS });
    const offsets = asked.filter(({ sha256 }) => sha256 === sha256Hex(patch)).map(({ offset }) => offset);
    expect(offsets[0]).toBe(0);
    expect(offsets.at(-1)).toBeGreaterThan(0);
    expect(cost?.fetchedBytes).toBe(patch.length + manifestBytes('2'));
  });

  it('fetches the whole where the patch comes damaged', async () => {
    const patch = await offer(MODEL, TRAINED);
    blobs.set(sha256Hex(patch), Buffer.from(patch).fill(0, 500, 520));
    const cost = await fetchVersion('2', { 'weights.bin': TRAINED, 'labels.txt': LABELS });
    expect(cost).toMatchObject({ patchedBytes: 0, fetchedBytes: TRAINED.length + manifestBytes('2') });
    expect(warnings.join()).toContain('DIGEST_MISMATCH');
  });

  it('fetches the whole where the patch makes something else', async () => {
    const wrong = await offer(MODEL, Buffer.concat([MODEL, randomBytes(10)]));
    await offer(MODEL, TRAINED);
    offers.set(sha256Hex(TRAINED), {
      format: 'vcdiff+zstd',
      from: sha256Hex(MODEL),
      patch: { sha256: sha256Hex(wrong), sizeBytes: wrong.length },
    });
    const cost = await fetchVersion('2', { 'weights.bin': TRAINED, 'labels.txt': LABELS });
    expect(cost).toMatchObject({ patchedBytes: 0, fetchedBytes: wrong.length + TRAINED.length + manifestBytes('2') });
    expect(warnings.join()).toContain('fetching the whole file');
  });

  it('fetches the whole where the base on disk is damaged or gone, and leaves that alone', async () => {
    await offer(MODEL, TRAINED);
    const damaged = Buffer.from(MODEL).fill(0, 7, 9);
    await writeFile(weights('1'), damaged);
    const cost = await fetchVersion('2', { 'weights.bin': TRAINED, 'labels.txt': LABELS });
    expect(cost).toMatchObject({ patchedBytes: 0, sharedBytes: LABELS.length });
    expect((await readFile(weights('1'))).equals(damaged)).toBe(true);
    await rm(weights('1'));
    await rm(weights('2'));
    expect(await fetchVersion('3', { 'weights.bin': TRAINED, 'labels.txt': LABELS })).toMatchObject({ patchedBytes: 0 });
  });

  it('does not use again what was damaged on disk', async () => {
    await writeFile(join(store.folder('w', 'v-1'), 'labels.txt'), Buffer.from(LABELS).fill(0, 0, 1));
    const cost = await fetchVersion('2', { 'weights.bin': MODEL, 'labels.txt': LABELS });
    expect(cost).toMatchObject({ sharedBytes: MODEL.length, fetchedBytes: LABELS.length + manifestBytes('2') });
    expect(warnings.join()).toContain('could not be used again');
  });

  it('takes no offer in a format that it does not know, against a base that it does not have, or larger than the whole', async () => {
    await offer(MODEL, TRAINED);
    const good = offers.get(sha256Hex(TRAINED));
    if (good === undefined) throw new Error('there is an offer');
    const { patch } = good;
    for (const [index, bad] of [
      { ...good, format: 'something newer' },
      { ...good, from: 'a'.repeat(64) },
      { ...good, patch: { ...patch, sizeBytes: TRAINED.length } },
      { ...good, patch: { ...patch, sha256: 'b'.repeat(64) } },
    ].entries()) {
      store = new DiskVersionStore({
        root: join(folder, `versions-${index}`),
        log: createLogger({ name: 'test', write: () => undefined }),
        caPem: async () => '',
        openBlob,
        applyDelta,
        askPackageDelta: async () => undefined,
        askDelta: async () => bad,
      });
      await fetchVersion('1', { 'weights.bin': MODEL, 'labels.txt': LABELS });
      expect(await fetchVersion('2', { 'weights.bin': TRAINED, 'labels.txt': LABELS })).toMatchObject({ patchedBytes: 0 });
    }
  });

  it('counts what earlier tries cost', async () => {
    const record = publish('2', { 'labels.txt': LABELS, 'weights.bin': TRAINED });
    blobs.delete(sha256Hex(TRAINED));
    await expect(store.fetch('w', record, () => undefined, signal)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    store = openStore();
    const cost = await fetchVersion('2', { 'labels.txt': LABELS, 'weights.bin': TRAINED });
    expect(cost).toMatchObject({ sharedBytes: LABELS.length, fetchedBytes: TRAINED.length + manifestBytes('2') });
  });

  it('needs no other version, and none that it can read', async () => {
    await writeFile(join(store.folder('w', 'v-1'), 'manifest.json'), 'damaged');
    const cost = await fetchVersion('2', { 'weights.bin': TRAINED, 'labels.txt': LABELS });
    expect(cost).toMatchObject({ sharedBytes: 0, patchedBytes: 0 });
  });
});
