import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../testing/test-server.ts';

describe('datasets', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await TestServer.start();
  });
  afterEach(() => server.stop());

  const phase = async (name: string) => (await server.resource('DatasetVersion', name)).status.phase;
  const until = (name: string, wanted: string) =>
    waitUntil(async () => (await phase(name)) === wanted, { timeoutMs: 20_000, what: `${name} to be ${wanted}` });

  it('get a version per content; the same bytes again are the same version', async () => {
    expect(await server.addDataset('things', 'one')).toBe('things.v1');
    expect(await server.addDataset('things', 'two')).toBe('things.v2');
    expect(await server.addDataset('things', 'one')).toBe('things.v1');
    expect(await server.createdBy('import')).toEqual(['things.v1', 'things.v2']);
    const version = await server.resource('DatasetVersion', 'things.v1');
    expect(version.status.content).toMatchObject({ files: 3, labels: ['a', 'b'], splits: { train: 2, test: 1 } });
    expect(version.spec.archive?.sha256).toBe(createHash('sha256').update('one').digest('hex'));
    expect((await server.resource('Dataset', 'things')).status).toEqual({ latestVersion: 2, versions: [1, 2] });
  });

  it('are not the same when they are divided otherwise', async () => {
    await server.addDataset('things', 'one');
    const other = await server.client.uploadDataset({ params: { name: 'things' }, query: { testShare: 0.5 }, upload: 'one' });
    expect(other.metadata.name).toBe('things.v2');
  });

  it('say why an import failed, and the same bytes try again', async () => {
    await server.toolFlag('import', 'fail', true);
    await server.client.uploadDataset({ params: { name: 'things' }, upload: 'one' });
    await until('things.v1', 'Failed');
    expect((await server.resource('DatasetVersion', 'things.v1')).status.message).toBe('the data is bad (DATASET_FORMAT)');
    expect((await server.resource('DatasetVersion', 'things.v1')).status.error).toMatchObject({ code: 'DATASET_FORMAT' });
    await server.toolFlag('import', 'fail', false);
    const again = await server.client.uploadDataset({ params: { name: 'things' }, upload: 'one' });
    expect(again.metadata.name).toBe('things.v1');
    await until('things.v1', 'Ready');
    expect((await server.resource('DatasetVersion', 'things.v1')).status.error).toBeNull();
  });

  it('go on being imported after a restart', async () => {
    await server.toolFlag('import', 'hold', true);
    await server.client.uploadDataset({ params: { name: 'things' }, upload: 'one' });
    await waitUntil(async () => (await server.createdBy('import')).length === 1, { timeoutMs: 30_000, what: 'the tool to be asked' });
    await server.stopServer();
    await server.toolFlag('import', 'hold', false);
    await server.startAgain();
    await until('things.v1', 'Ready');
  });

  it('refuse an empty upload and an upload over the limit', async () => {
    await expect(server.client.uploadDataset({ params: { name: 'things' }, upload: '' })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await server.stop();
    server = await TestServer.start({ maxUploadBytes: 100 });
    const body = Buffer.alloc(20 * 1024 * 1024);
    await expect(server.client.uploadDataset({ params: { name: 'things' }, upload: body })).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
    });
    await expect(server.resource('Dataset', 'things')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('keep what is in use, and go when nothing needs them', async () => {
    await server.addDataset('things', 'one');
    const remove = (plural: string, name: string) => server.client.deleteResource({ params: { plural, name } });
    await expect(remove('datasets', 'things')).rejects.toMatchObject({ code: 'CONFLICT' });
    await remove('datasetversions', 'things.v1');
    expect((await server.resource('Dataset', 'things')).status).toEqual({ latestVersion: null, versions: [] });
    expect(await server.addDataset('things', 'two')).toBe('things.v2');
    await remove('datasetversions', 'things.v2');
    await remove('datasets', 'things');
  });

  describe('from a URL', () => {
    let source: Server;
    let url: string;
    let failures = 0;
    let requests = 0;
    beforeEach(async () => {
      requests = 0;
      source = createServer((request, response) => {
        requests += 1;
        if (request.url?.startsWith('/missing') === true) response.writeHead(404).end();
        else if (failures > 0) {
          failures -= 1;
          response.writeHead(503).end();
        } else {
          response.end('from afar');
        }
      });
      await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve));
      const address = source.address();
      url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/data.tar`;
    });
    afterEach(() => new Promise((resolve) => source.close(resolve)));

    it('are downloaded, also at the second try, and checked', async () => {
      failures = 1;
      const sha256 = createHash('sha256').update('from afar').digest('hex');
      const version = await server.client.importDataset({ params: { name: 'far' }, body: { url, sha256 } });
      expect(version.spec.archive).toBeNull();
      await until('far.v1', 'Ready');
      expect((await server.resource('DatasetVersion', 'far.v1')).spec.archive).toEqual({ sha256, sizeBytes: 9 });
      const again = await server.client.importDataset({ params: { name: 'far' }, body: { url, sha256 } });
      expect(again.metadata.name).toBe('far.v1');
    });

    it('fail at once when there is nothing at the URL, which is named without its secrets', async () => {
      const missing = `${url.replace('/data.tar', '/missing.tar')}?key=secret`;
      await server.client.importDataset({ params: { name: 'far' }, body: { url: missing } });
      await until('far.v1', 'Failed');
      const { error, message } = (await server.resource('DatasetVersion', 'far.v1')).status;
      expect(error).toMatchObject({ code: 'DOWNLOAD_FAILED', hint: expect.stringContaining('Check the URL') });
      expect(message).toContain('/missing.tar answered with HTTP 404');
      expect(message).not.toContain('secret');
      expect(requests).toBe(1);
    });

    it('are refused when the digest differs', async () => {
      await server.client.importDataset({ params: { name: 'far' }, body: { url, sha256: 'a'.repeat(64) } });
      await until('far.v1', 'Failed');
      expect((await server.resource('DatasetVersion', 'far.v1')).status.message).toMatch(/sha256/);
    });
  });
});
