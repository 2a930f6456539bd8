import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from './digest.ts';
import { type DownloadResponse, downloadResumable } from './download.ts';

const CONTENT = randomBytes(300_000);
const FAST = { backoff: { baseMs: 1, maxMs: 2 } };

interface Behaviour {
  /** Bytes after which each connection is cut. */
  cutAfter?: number;
  ignoreRange?: boolean;
  content?: Buffer;
  status?: number;
}

describe('downloadResumable', () => {
  let folder: string;
  let server: Server;
  let offsets: number[];
  let behaviour: Behaviour;

  const open = (offset: number) =>
    new Promise<DownloadResponse>((resolve, reject) => {
      const port = (server.address() as AddressInfo).port;
      const request = get({ port, headers: offset > 0 ? { range: `bytes=${offset}-` } : {} }, (response: IncomingMessage) =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response }),
      );
      request.on('error', reject);
    });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'download-'));
    offsets = [];
    behaviour = {};
    server = createServer((request, response) => {
      const content = behaviour.content ?? CONTENT;
      const match = behaviour.ignoreRange === true ? null : /bytes=(\d+)-/.exec(request.headers.range ?? '');
      const from = Number(match?.[1] ?? 0);
      offsets.push(from);
      response.writeHead(behaviour.status ?? (match === null ? 200 : 206), { 'content-length': content.length - from });
      const rest = content.subarray(from);
      if (behaviour.cutAfter === undefined || rest.length <= behaviour.cutAfter) response.end(rest);
      else response.write(rest.subarray(0, behaviour.cutAfter), () => setImmediate(() => response.destroy()));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });

  const destination = () => join(folder, 'sub/model.onnx');
  const options = () => ({ open, destination: destination(), sha256: sha256Hex(CONTENT), sizeBytes: CONTENT.length, ...FAST });

  it('resumes where the connection was cut, until the file is whole', async () => {
    behaviour.cutAfter = 70_000;
    await downloadResumable(options());
    expect(sha256Hex(await readFile(destination()))).toBe(sha256Hex(CONTENT));
    expect(offsets.length).toBeGreaterThanOrEqual(4);
    expect(offsets.slice(1).every((offset, index) => offset >= (offsets[index] ?? 0))).toBe(true);
  });

  it('goes on from what an earlier process left', async () => {
    await downloadResumable({ ...options(), destination: join(folder, 'other') });
    await writeFile(join(folder, 'half.part'), CONTENT.subarray(0, 123_456));
    await downloadResumable({ ...options(), destination: join(folder, 'half') });
    expect(offsets.at(-1)).toBe(123_456);
    expect(sha256Hex(await readFile(join(folder, 'half')))).toBe(sha256Hex(CONTENT));
  });

  it('begins anew where the other side knows no ranges', async () => {
    behaviour.ignoreRange = true;
    await writeFile(join(folder, 'half.part'), CONTENT.subarray(0, 1000));
    await downloadResumable({ ...options(), destination: join(folder, 'half') });
    expect(sha256Hex(await readFile(join(folder, 'half')))).toBe(sha256Hex(CONTENT));
  });

  it.each([
    ['other bytes', Buffer.from(CONTENT).fill((CONTENT[5] ?? 0) ^ 1, 5, 6)],
    ['more bytes', Buffer.concat([CONTENT, Buffer.from('!')])],
  ])('never shows a file with %s than announced', async (_, content) => {
    behaviour.content = content;
    await expect(downloadResumable(options())).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(existsSync(destination())).toBe(false);
    expect(existsSync(`${destination()}.part`)).toBe(false);
  });

  it('gives up with DOWNLOAD_FAILED after tries that brought nothing', async () => {
    behaviour.status = 503;
    await expect(downloadResumable({ ...options(), maxAttempts: 3 })).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
    expect(offsets).toHaveLength(3);
  });

  it('does not try again what will not change', async () => {
    behaviour.status = 404;
    await expect(downloadResumable(options())).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(offsets).toHaveLength(1);
  });

  it('ends with the reason of its signal', async () => {
    const reason = new Error('enough');
    await expect(downloadResumable({ ...options(), signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
