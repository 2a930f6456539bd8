import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createLogger, sha256Hex } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VersionRecord } from '../../domain/agent-state.ts';
import { makePackage, type TestPackage } from '../../testing/make-package.ts';
import { DiskVersionStore } from './disk-version-store.ts';

const log = createLogger({ name: 'test', write: () => undefined });
const signal = new AbortController().signal;
let root: string;
let blobs: Map<string, Buffer>;
let opened: string[];
let store: DiskVersionStore;

function recordOf(pack: TestPackage): VersionRecord {
  const manifest = { sha256: sha256Hex(pack.manifestBytes), sizeBytes: pack.manifestBytes.length };
  return { key: 'v-1', model: pack.manifest.model, version: pack.manifest.version, manifest };
}

/** The package with another manifest; its bytes are ordered as they are. */
function withManifest(pack: TestPackage, text: string): TestPackage {
  const manifestBytes = Buffer.from(text);
  return { ...pack, manifestBytes, blobs: new Map([...pack.blobs, [sha256Hex(manifestBytes), manifestBytes]]) };
}
const fetchPackage = (pack: TestPackage) => {
  blobs = pack.blobs;
  return store.fetch('w', recordOf(pack), () => undefined, signal);
};

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'selvedge-versions-'));
  opened = [];
  store = new DiskVersionStore({
    root,
    log,
    caPem: async () => '',
    askDelta: async () => undefined,
    askPackageDelta: async () => undefined,
    applyDelta: () => Promise.reject(new Error('nothing is patched')),
    openBlob: async (sha256, offset) => {
      opened.push(sha256);
      const content = blobs.get(sha256);
      if (!content) return { status: 404, headers: {}, body: Readable.from([]) };
      return { status: offset > 0 ? 206 : 200, headers: {}, body: Readable.from([content.subarray(offset)]) };
    },
  });
});
afterEach(() => rm(root, { recursive: true }));

describe('DiskVersionStore', () => {
  it('has a version only when all of it is there, and goes on where it stopped', async () => {
    const pack = makePackage();
    const missing = pack.manifest.files[1]!.sha256;
    const partly = new Map([...pack.blobs].filter(([sha256]) => sha256 !== missing));
    await expect(fetchPackage({ ...pack, blobs: partly })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await store.list('w')).toEqual([]);
    opened = [];
    await fetchPackage(pack);
    expect(opened).toEqual([missing]);
    expect(await store.list('w')).toEqual(['v-1']);
    await store.verify('w', recordOf(pack), signal);
  });

  it('tells progress over all files', async () => {
    const pack = makePackage({ bulkBytes: 1000 });
    blobs = pack.blobs;
    const seen: [number, number][] = [];
    await store.fetch('w', recordOf(pack), (done, total) => seen.push([done, total]), signal);
    const total = pack.manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    expect(seen.at(-1)).toEqual([total, total]);
    expect(seen.every(([done], index) => done >= (seen[index - 1]?.[0] ?? 0))).toBe(true);
  });

  it('finds every kind of damage', async () => {
    const pack = makePackage();
    await fetchPackage(pack);
    for (const name of ['model.onnx', 'golden.json', 'manifest.json']) {
      const path = join(store.folder('w', 'v-1'), name);
      const bytes = await readFile(path);
      await writeFile(path, Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])]));
      await expect(store.verify('w', recordOf(pack), signal), name).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
      await rm(path);
      await expect(store.verify('w', recordOf(pack), signal), name).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
      await writeFile(path, bytes);
      await store.verify('w', recordOf(pack), signal);
    }
  });

  it('refuses manifests that leave the folder, are not manifests, or belong to another model', async () => {
    const pack = makePackage();
    const text = pack.manifestBytes.toString();
    const bad = [
      text.replace('"golden.json"', '"../golden.json"'),
      text.replaceAll('golden.json', '/etc/golden.json'),
      text.replaceAll('golden.json', 'manifest.json'),
      text.replace('"version": "1"', '"version": "2"'),
      '[]',
      '{',
    ];
    for (const manifest of bad) {
      await expect(fetchPackage({ ...withManifest(pack, manifest), manifest: pack.manifest }), manifest).rejects.toMatchObject({
        code: 'INPUT_INVALID',
      });
      await store.collect('w', 'v-1');
    }
    expect(await readdir(root)).toEqual(['w']);
    expect(await readdir(join(root, 'w'))).toEqual([]);
  });

  it('refuses a blob with other bytes than its name says', async () => {
    const pack = makePackage();
    const [first] = pack.manifest.files;
    const wrong = new Map(pack.blobs).set(first!.sha256, Buffer.alloc(first!.sizeBytes, 1));
    await expect(fetchPackage({ ...pack, blobs: wrong })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('sweeps everything but what is kept', async () => {
    const pack = makePackage();
    await fetchPackage(pack);
    await writeFile(join(root, 'w', 'stray'), '');
    await store.sweep('w', ['v-1']);
    expect(await readdir(join(root, 'w'))).toEqual(['v-1']);
    await store.sweep('w', []);
    expect(await readdir(root)).toEqual([]);
  });
});
