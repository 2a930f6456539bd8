import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { sha256Hex } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FsTransferFiles } from './fs-transfer-files.ts';

describe('FsTransferFiles', () => {
  let folder: string;
  let files: FsTransferFiles;
  const content = randomBytes(3_000_000);
  const sha256 = sha256Hex(content);
  const sizeBytes = content.byteLength;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'transfers-'));
    files = new FsTransferFiles(folder);
    await files.start();
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** The bytes from one position to another; then the sender is gone. */
  function cutOff(from: number, to: number): Readable {
    async function* sending() {
      yield content.subarray(from, to);
      throw new Error('connection reset');
    }
    return Readable.from(sending());
  }

  it('keeps what a sender brought before it broke off, also over a restart, and goes on there', async () => {
    expect(await files.receive('key', cutOff(0, 1_500_000), { offset: 0, sizeBytes })).toBe(1_500_000);
    expect(await files.stat(sha256)).toBeUndefined();
    const again = new FsTransferFiles(folder);
    await again.start();
    expect(await again.receivedBytes('key')).toBe(1_500_000);
    const progress: number[] = [];
    const rest = { offset: 1_500_000, sizeBytes, onProgress: (received: number) => progress.push(received) };
    expect(await again.receive('key', Readable.from([content.subarray(1_500_000)]), rest)).toBe(sizeBytes);
    expect(progress.at(-1)).toBe(sizeBytes);
    await again.finish('key', { sha256, sizeBytes });
    const range = { start: 10, end: 1_999_999 };
    expect(sha256Hex(await buffer((await again.open(sha256, range))!))).toBe(sha256Hex(content.subarray(10, 2_000_000)));
    expect(await again.receivedBytes('key')).toBe(0);
  });

  it('refuses another offset and more than was announced, and throws away what is something else', async () => {
    await files.receive('key', Readable.from([content.subarray(0, 100)]), { offset: 0, sizeBytes });
    const wrong = files.receive('key', Readable.from([content]), { offset: 50, sizeBytes });
    await expect(wrong).rejects.toMatchObject({ code: 'CONFLICT', details: { data: { receivedBytes: 100 } } });
    const more = files.receive('key', Readable.from([content]), { offset: 100, sizeBytes: 1000 });
    await expect(more).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
    await files.discard('key');
    await files.receive('key', Readable.from([content.subarray(1)]), { offset: 0, sizeBytes });
    await expect(files.finish('key', { sha256, sizeBytes })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await files.receivedBytes('key')).toBe(0);
  });

  it('lets a sender that comes back take the place of its lost connection', async () => {
    const stalled = new Readable({ read: () => undefined });
    stalled.push(content.subarray(0, 1_200_000));
    let known = 0;
    const first = files.receive('key', stalled, {
      offset: 0,
      sizeBytes,
      onProgress: (received) => {
        known = received;
      },
    });
    while (known === 0) await new Promise((resolve) => setImmediate(resolve));
    const second = files.receive('key', Readable.from([content.subarray(known)]), { offset: known, sizeBytes });
    expect(await first).toBe(1_200_000);
    expect(await second).toBe(sizeBytes);
    await files.finish('key', { sha256, sizeBytes });
  });

  it('keeps empty content, and frees what is not needed and old enough', async () => {
    const empty = { sha256: sha256Hex(''), sizeBytes: 0 };
    await files.finish('empty', empty);
    expect(await files.stat(empty.sha256)).toEqual(empty);
    await files.receive('part', Readable.from(['abc']), { offset: 0, sizeBytes: 10 });
    expect(await files.sweep(() => true, new Date(0))).toBe(0);
    expect(await files.sweep((one) => one === empty.sha256, new Date(Date.now() + 60_000))).toBe(1);
    expect(await files.receivedBytes('part')).toBe(0);
    expect(await files.sweep(() => false, new Date(Date.now() + 60_000))).toBe(1);
    expect(await files.stat(empty.sha256)).toBeUndefined();
  });
});
