import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { type DatasetVersion, KINDS } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { openStore } from '../adapters/sql/open-store.ts';
import { TestServer } from '../testing/test-server.ts';
import { draftOf } from './draft-of.ts';

let server: TestServer;
beforeEach(async () => {
  server = await TestServer.start();
});
afterEach(() => server.stop());

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
const found = async (name: string) => server.resource('DatasetVersion', name);
const finished = (name: string): Promise<DatasetVersion> =>
  waitUntil(
    async () => {
      const version = await found(name);
      return version.status.phase === 'Importing' ? undefined : version;
    },
    { timeoutMs: 20_000, what: `${name} to be imported` },
  );
const blobIsThere = async (digest: string) => (await server.fetch(`/api/v1/blobs/${digest}`)).ok;

describe('versions of a dataset', () => {
  it('are one where the content is one, whatever it came in', async () => {
    await server.addDataset('things', 'one');
    const artifact = { tool: 'import', name: 'things.v1' };
    await server.client.importDataset({ params: { name: 'others' }, body: { artifact } });
    await finished('others.v1');
    // Another archive with the same content: what the tool makes of it does not depend on the test share here.
    await server.client.uploadDataset({ params: { name: 'things' }, query: { testShare: 0.3 }, upload: 'one' });
    const twin = await finished('things.v2');
    expect(twin.status).toMatchObject({ phase: 'Ready', sameAs: 1 });
    expect((await server.resource('Dataset', 'things')).status).toEqual({ latestVersion: 1, versions: [1] });
  });

  it('are split anew by the tool, once per request', async () => {
    await server.addDataset('things', 'one');
    const request = { params: { name: 'things', version: 1 }, body: { shares: { train: 0.5, test: 0.5 }, seed: 1 } };
    expect((await server.client.splitDataset(request)).metadata.name).toBe('things.v2');
    const split = await finished('things.v2');
    expect(split.spec.source).toMatchObject({ type: 'split', version: 1, resplit: request.body });
    expect((await server.client.splitDataset(request)).metadata.name).toBe('things.v2');
    await expect(server.client.splitDataset({ ...request, params: { name: 'things', version: 9 } })).rejects.toMatchObject({
      code: 'REFERENCE_MISSING',
    });
  });

  it('are compared file by file', async () => {
    await server.addDataset('things', 'one');
    await server.addDataset('things', 'two');
    const diff = await server.client.diffDatasets({ query: { from: 'things@1', to: 'things' } });
    expect(diff).toMatchObject({
      from: 'things@1',
      to: 'things@2',
      same: false,
      counts: { unchanged: 0, added: 0, removed: 0, changed: 1, moved: 0 },
      changed: [{ path: 'train/a/1.png', changes: ['content'] }],
    });
    expect((await server.client.diffDatasets({ query: { from: 'things@1', to: 'things@1' } })).same).toBe(true);
  });

  it('are verified and exported; damage is named, and breaks an export off', async () => {
    await server.addDataset('things', 'one');
    const params = { name: 'things', version: 1 };
    expect(await server.client.verifyDataset({ params })).toMatchObject({ ok: true, files: 1, broken: { count: 0 } });
    const response = await server.fetch('/api/v1/datasets/things/versions/1/archive');
    const entries = new Map<string, Buffer>();
    const tar = extract();
    tar.end(Buffer.from(await response.arrayBuffer()));
    for await (const entry of tar) entries.set(entry.header.name, await buffer(entry));
    expect([...entries.keys()]).toEqual(['dataset.json', 'manifest.jsonl', 'files/train/a/1.png']);
    expect(sha256(entries.get('manifest.jsonl') ?? '')).toBe((await found('things.v1')).status.content?.digest);
    await server.toolFlag('import', 'damage', true);
    expect(await server.client.verifyDataset({ params })).toMatchObject({
      ok: false,
      broken: { count: 1, files: [{ path: 'train/a/1.png', message: expect.stringContaining('sha256') }] },
    });
    const broken = await server.fetch('/api/v1/datasets/things/versions/1/archive');
    await expect(broken.arrayBuffer()).rejects.toThrow();
  });
});

describe('removal of versions', () => {
  const remove = (query: { version?: number; unused?: '1'; keep?: number }) =>
    server.client.removeDataset({ params: { name: 'things' }, query });

  it('takes all that only the version needed, and no archive that another dataset has', async () => {
    await server.addDataset('things', 'one');
    await server.addDataset('things', 'two');
    await server.addDataset('others', 'one');
    const { status } = await found('things.v2');
    expect(await remove({ version: 1 })).toEqual({ removed: ['things.v1'], kept: [] });
    expect(await blobIsThere(sha256('one'))).toBe(true);
    await remove({ version: 2 });
    expect(await blobIsThere(sha256('two'))).toBe(false);
    expect(await blobIsThere(status.content?.digest ?? '')).toBe(false);
    expect((await server.fetch('/containers/import/artifacts/things.v2/status')).status).toBe(404);
    expect((await server.resource('Dataset', 'things')).status).toEqual({ latestVersion: null, versions: [] });
  });

  it('leaves what an artifact of an MLflow run has the same bytes as', async () => {
    await server.addDataset('things', 'one');
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ experiment_id: '0', run_name: 'logged', start_time: 1 });
    const created = await server.fetch('/mlflow/api/2.0/mlflow/runs/create', { method: 'POST', headers, body });
    const { run } = z.object({ run: z.object({ info: z.object({ artifact_uri: z.string() }) }) }).parse(await created.json());
    const file = `/mlflow/api/2.0/mlflow-artifacts/artifacts/${run.info.artifact_uri.replace('mlflow-artifacts:/', '')}/data.bin`;
    const logged = await server.fetch(file, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: 'one' });
    expect(logged.status).toBe(200);
    expect(await remove({})).toEqual({ removed: ['things.v1'], kept: [] });
    expect(await (await server.fetch(file)).text()).toBe('one');
    await server.addDataset('others', 'one');
    await server.fetch(file, { method: 'DELETE' });
    await server.client.removeDataset({ params: { name: 'others' }, query: {} });
    expect(await blobIsThere(sha256('one'))).toBe(false);
  });

  it('is refused for what a run or a model needs, or another version was made from', async () => {
    await server.addDataset('things', 'one');
    await server.applyPipeline('thing');
    const run = await server.client.startRun({ params: { name: 'thing' }, body: {} });
    await server.waitForRun(run.metadata.name, ({ status }) => status.phase === 'Succeeded', 'to succeed');
    await server.addDataset('things', 'two');
    await expect(remove({ version: 1 })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('run/thing-1'),
    });
    await server.client.deleteResource({ params: { plural: KINDS.Run.plural, name: 'thing-1' } });
    await expect(remove({ version: 1 })).rejects.toMatchObject({ message: expect.stringContaining('modelversion/') });
    await expect(remove({})).rejects.toMatchObject({ code: 'CONFLICT' });
    const body = { shares: { train: 1 }, seed: 0 };
    await server.client.splitDataset({ params: { name: 'things', version: 2 }, body });
    await finished('things.v3');
    await expect(remove({ version: 2 })).rejects.toMatchObject({ message: expect.stringContaining('datasetversion/things.v3') });
    await server.addDataset('things', 'four');
    expect(await remove({ unused: '1' })).toMatchObject({
      removed: ['things.v3'],
      kept: [{ version: 'things.v1' }, { version: 'things.v2' }, { version: 'things.v4', because: ['one of the newest'] }],
    });
    expect((await remove({ unused: '1' })).removed).toEqual(['things.v2']);
  });

  it('removes a dataset with all its versions', async () => {
    await server.addDataset('things', 'one');
    await server.client.splitDataset({ params: { name: 'things', version: 1 }, body: { shares: { train: 1 }, seed: 0 } });
    await finished('things.v2');
    await server.client.uploadDataset({ params: { name: 'things' }, query: { testShare: 0.3 }, upload: 'one' });
    expect((await finished('things.v3')).status.sameAs).toBe(1);
    expect((await remove({})).removed).toEqual(['things.v3', 'things.v2', 'things.v1']);
    await expect(server.resource('Dataset', 'things')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('goes on after a crash in the middle', async () => {
    await server.addDataset('things', 'one');
    await server.stopServer();
    // What is on disk when the process dies right after the removal was written down.
    const store = await openStore({ file: join(server.dir, 'selvedge.sqlite'), announce: () => undefined, log: silent });
    await store.update('DatasetVersion', 'things.v1', (current) =>
      draftOf(current, {
        labels: { ...current.metadata.labels, 'selvedge.dev/active': 'true' },
        status: { ...current.status, phase: 'Removing' },
      }),
    );
    await store.close();
    await server.startAgain();
    await waitUntil(
      async () =>
        found('things.v1').then(
          () => undefined,
          () => true,
        ),
      { timeoutMs: 20_000, what: 'the version to be gone' },
    );
    expect(await blobIsThere(sha256('one'))).toBe(false);
    expect((await server.resource('Dataset', 'things')).status.versions).toEqual([]);
  });
});

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => silent };

describe('a download', () => {
  const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251));
  let source: Server;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let ranges: (string | undefined)[];
  beforeEach(async () => {
    ranges = [];
    source = createServer((request, response) => {
      ranges.push(request.headers.range);
      answer(request, response);
    });
    await once(source.listen(0, '127.0.0.1'), 'listening');
  });
  afterEach(() => {
    source.closeAllConnections();
    return new Promise((resolve) => source.close(resolve));
  });
  const url = () => {
    const address = source.address();
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/data.tar`;
  };
  const start = (digest?: string) =>
    server.client.importDataset({ params: { name: 'far' }, body: { url: url(), ...(digest === undefined ? {} : { sha256: digest }) } });

  /** Sends the content, or what is asked for of it; each answer breaks off after `bytes`. */
  const breaking = (bytes: number, etag: () => string) => (request: IncomingMessage, response: ServerResponse) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const isSame = from > 0 && request.headers['if-range'] === etag();
    const rest = isSame ? content.subarray(from) : content;
    const range = isSame ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {};
    response.writeHead(isSame ? 206 : 200, { 'content-length': rest.length, etag: etag(), ...range });
    response.write(rest.subarray(0, bytes), () => (rest.length > bytes ? response.destroy() : response.end()));
  };

  it('goes on where it broke', async () => {
    answer = breaking(110_000, () => '"a"');
    await start(sha256(content));
    expect((await finished('far.v1')).spec.archive).toEqual({ sha256: sha256(content), sizeBytes: content.length });
    expect(ranges.length).toBeGreaterThan(2);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d*-$/);
    expect(await readdir(join(server.dir, 'downloads'))).toEqual([]);
  });

  it('begins anew when the content has changed', async () => {
    answer = breaking(200_000, () => (ranges.length < 2 ? '"1"' : '"2"'));
    await start(sha256(content));
    expect((await finished('far.v1')).status.phase).toBe('Ready');
  });

  it('goes on after a restart of the server', async () => {
    const sent = new Promise<void>((resolve) => {
      answer = (_request, response) => {
        response.writeHead(200, { 'content-length': content.length, etag: '"a"' });
        response.write(content.subarray(0, 100_000), () => resolve());
      };
    });
    await start(sha256(content));
    await sent;
    await waitUntil(async () => (await readdir(join(server.dir, 'downloads', 'far.v1'))).includes('content'), {
      timeoutMs: 30_000,
      what: 'bytes to be on disk',
    });
    await server.stopServer();
    answer = breaking(content.length, () => '"a"');
    await server.startAgain();
    expect((await finished('far.v1')).status.phase).toBe('Ready');
    expect(ranges.at(-1)).toMatch(/^bytes=[1-9]/);
  });

  it.each([
    ['its digest', () => breaking(content.length, () => '"a"'), 'DIGEST_MISMATCH', undefined],
    [
      'its size',
      () => (_request: IncomingMessage, response: ServerResponse) => response.writeHead(200, { 'content-length': 2 ** 50 }).write('x'),
      'PAYLOAD_TOO_LARGE',
      undefined,
    ],
    [
      'nothing, and has no end',
      () => (_request: IncomingMessage, response: ServerResponse) => {
        const more = () => void (response.destroyed || response.write(content, more));
        response.writeHead(200);
        more();
      },
      'PAYLOAD_TOO_LARGE',
      1_000_000,
    ],
  ])('leaves nothing behind when the source lies about %s', async (_what, make, code, maxUploadBytes) => {
    if (maxUploadBytes !== undefined) {
      await server.stop();
      server = await TestServer.start({ maxUploadBytes });
    }
    answer = make();
    await start('a'.repeat(64));
    expect((await finished('far.v1')).status.error).toMatchObject({ code });
    expect(await readdir(join(server.dir, 'downloads'))).toEqual([]);
    expect(await readdir(join(server.dir, 'blobs', 'incoming'))).toEqual([]);
    expect(await readdir(join(server.dir, 'blobs', 'sha256'))).toEqual([]);
  });
});

describe('data in S3', () => {
  let child: ChildProcess;
  let endpoint: string;
  const keys = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };
  const before = { ...process.env };
  beforeEach(async () => {
    Object.assign(process.env, keys);
    const script = fileURLToPath(new URL('../testing/s3-server.mjs', import.meta.url));
    child = spawn(process.execPath, [script, join(server.dir, 's3')], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (child.stdout === null) throw new Error('the S3 server has no output');
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    endpoint = String(line);
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });
    for (const [key, body] of [
      ['sets/one.tar', 'one'],
      ['folder/a/1.png', 'first'],
      ['folder/b/2.png', 'second'],
    ] as const)
      await client.send(new PutObjectCommand({ Bucket: 'data', Key: key, Body: body }));
    client.destroy();
  });
  afterEach(async () => {
    process.env = before;
    child.stdin?.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  const add = (key: string, digest?: string) =>
    server.client.importDataset({
      params: { name: 'far' },
      body: { s3: { bucket: 'data', key, endpoint }, ...(digest === undefined ? {} : { sha256: digest }) },
    });

  it('is taken from one object, by its digest', async () => {
    await add('sets/one.tar', sha256('one'));
    expect((await finished('far.v1')).spec.archive).toEqual({ sha256: sha256('one'), sizeBytes: 3 });
  });

  it('is taken from all objects below a key', async () => {
    await add('folder/');
    const { spec } = await finished('far.v1');
    const tar = extract();
    tar.end(Buffer.from(await (await server.fetch(`/api/v1/blobs/${spec.archive?.sha256}`)).arrayBuffer()));
    const entries: [string, string][] = [];
    for await (const entry of tar) entries.push([entry.header.name, (await buffer(entry)).toString()]);
    expect(entries).toEqual([
      ['a/1.png', 'first'],
      ['b/2.png', 'second'],
    ]);
  });

  it('that is not there is said to be missing', async () => {
    await add('sets/none.tar');
    expect((await finished('far.v1')).status.error).toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('s3://data/sets/none.tar'),
    });
  });
});
