import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { type FileServer, startFileServer } from '../testing/file-server.ts';
import { type FetchPolicy, fetchInput, safeFileName } from './fetch-input.ts';

let folder = '';
const servers: FileServer[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fetch-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await rm(folder, { recursive: true, force: true });
});

type Answer = Parameters<typeof startFileServer>[0];

async function serve(answer: Answer): Promise<FileServer> {
  const server = await startFileServer(answer);
  servers.push(server);
  return server;
}

function policy(trusted: readonly string[] = []): FetchPolicy {
  return {
    token: 'secret-token',
    trustedOrigins: new Set(trusted),
    attempts: 3,
    backoff: { baseMs: 1, maxMs: 2 },
    idleTimeoutMs: 300,
    maxBytes: 1000,
  };
}

const messages: string[] = [];
const fetchTo = (url: string, options: { sha256?: string; policy?: FetchPolicy; signal?: AbortSignal } = {}) =>
  fetchInput({ url, sha256: options.sha256 }, join(folder, 'in'), options.policy ?? policy(), {
    signal: options.signal ?? new AbortController().signal,
    log: (text) => messages.push(text),
  });

describe('fetchInput', () => {
  it('keeps a single file below its own name', async () => {
    const server = await serve((_request, response) => response.end('hello'));
    await fetchTo(`${server.origin}/some/labels.bin?signature=abc`);
    expect(await readFile(join(folder, 'in', 'labels.bin'), 'utf8')).toBe('hello');
    expect(await readdir(folder)).toEqual(['in']);
  });

  it('prefers the name of Content-Disposition, without its folders', async () => {
    const server = await serve((_request, response) =>
      response.setHeader('content-disposition', 'attachment; filename="../../.ssh/model.onnx"').end('x'),
    );
    await fetchTo(`${server.origin}/data`);
    expect(await readdir(join(folder, 'in'))).toEqual(['model.onnx']);
  });

  it('unpacks a zip', async () => {
    const server = await serve((_request, response) => {
      const zip = new ZipFile();
      zip.addBuffer(Buffer.from('1'), 'a/b.txt');
      zip.end();
      response.setHeader('content-type', 'application/zip');
      zip.outputStream.pipe(response);
    });
    await fetchTo(`${server.origin}/data`);
    expect(await readFile(join(folder, 'in', 'a', 'b.txt'), 'utf8')).toBe('1');
  });

  it('sends the token to trusted origins only, also after a redirect', async () => {
    const stranger = await serve((_request, response) => response.end('x'));
    const trusted = await serve((_request, response) => response.writeHead(302, { location: `${stranger.origin}/x` }).end());
    await fetchTo(`${trusted.origin}/data`, { policy: policy([trusted.origin]) });
    expect(trusted.requests[0]?.headers.authorization).toBe('Bearer secret-token');
    expect(stranger.requests[0]?.headers.authorization).toBeUndefined();
  });

  it('tries again after errors that may pass, and then succeeds', async () => {
    let calls = 0;
    const server = await serve((_request, response) => {
      calls += 1;
      if (calls === 1) response.writeHead(503).end();
      else if (calls === 2) response.writeHead(200, { 'content-length': '10' }).write('12345', () => response.destroy());
      else response.end('0123456789');
    });
    await fetchTo(`${server.origin}/a.txt`);
    expect(calls).toBe(3);
    expect(await readFile(join(folder, 'in', 'a.txt'), 'utf8')).toBe('0123456789');
    expect(messages.join()).toContain('trying again');
  });

  it('gives up with DOWNLOAD_FAILED, and tells no query of the URL', async () => {
    const server = await serve((_request, response) => response.destroy());
    const failure = fetchTo(`${server.origin}/a.txt?signature=secret`);
    await expect(failure).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED', message: expect.not.stringContaining('secret') });
    expect(server.requests).toHaveLength(3);
    expect(await readdir(folder)).toEqual([]);
  });

  it('counts a response that stalls as broken', async () => {
    const server = await serve((_request, response) => void response.writeHead(200).write('begin'));
    await expect(fetchTo(`${server.origin}/a.txt`)).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('no data'),
    });
  });

  it.each([
    [404, 'REFERENCE_MISSING'],
    [403, 'FORBIDDEN'],
    [400, 'DOWNLOAD_FAILED'],
  ])('does not try again after %i', async (status, code) => {
    const server = await serve((_request, response) => response.writeHead(status).end());
    await expect(fetchTo(`${server.origin}/a`)).rejects.toMatchObject({ code });
    expect(server.requests).toHaveLength(1);
  });

  it('checks the digest', async () => {
    const server = await serve((_request, response) => response.end('hello'));
    await fetchTo(`${server.origin}/good`, { sha256: sha256Hex('hello') });
    await expect(fetchTo(`${server.origin}/bad`, { sha256: sha256Hex('other') })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await readdir(join(folder, 'in'))).toEqual(['good']);
  });

  it('stops at the size limit and at a ring of redirects', async () => {
    const large = await serve((_request, response) => response.end(Buffer.alloc(1001)));
    await expect(fetchTo(`${large.origin}/a`)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
    const ring = await serve((_request, response) => response.writeHead(302, { location: '/again' }).end());
    await expect(fetchTo(`${ring.origin}/a`)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
    const elsewhere = await serve((_request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end());
    await expect(fetchTo(`${elsewhere.origin}/a`)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });

  it('ends with the reason of the signal', async () => {
    const controller = new AbortController();
    const server = await serve((_request, response) => response.writeHead(200).write('x', () => controller.abort(new Error('enough'))));
    await expect(fetchTo(`${server.origin}/a`, { signal: controller.signal })).rejects.toThrow('enough');
  });
});

describe('safeFileName', () => {
  it.each([
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\boot.ini', 'boot.ini'],
    ['.hidden', 'hidden'],
    ['...', 'file'],
    ['a b\n"c".txt', 'a_b_c_.txt'],
    ['', 'file'],
  ])('%j becomes %j', (name, safe) => expect(safeFileName(name)).toBe(safe));
});
