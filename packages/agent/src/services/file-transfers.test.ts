import type { TransferResult } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import type { PushCommand } from '../ports/device-files.ts';
import { FileTransfers } from './file-transfers.ts';

const RESULT: TransferResult = { sha256: '0'.repeat(64), sizeBytes: 1, changed: true };

function setUp() {
  const begun: string[] = [];
  const forgotten: string[] = [];
  const ends = new Map<string, () => void>();
  const transfers = new FileTransfers({
    receive: ({ operation }, signal) => {
      begun.push(operation);
      return new Promise((resolve, reject) => {
        ends.set(operation, () => resolve(RESULT));
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
    forget: async ({ operation }) => {
      forgotten.push(operation);
    },
    send: async () => RESULT,
  });
  return { transfers, begun, forgotten, ends };
}

const push = (operation: string): PushCommand => ({
  v: 1,
  id: operation,
  expiresAt: new Date().toISOString(),
  type: 'push',
  operation,
  file: { sha256: '0'.repeat(64), sizeBytes: 1 },
  path: '/x',
});
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('FileTransfers', () => {
  it('runs two at a time, and one that is asked for again only once', async () => {
    const { transfers, begun, ends } = setUp();
    const all = ['a', 'b', 'c', 'a'].map((operation) => transfers.transfer(push(operation)));
    await turn();
    expect(begun).toEqual(['a', 'b']);
    ends.get('a')?.();
    await turn();
    expect(begun).toEqual(['a', 'b', 'c']);
    ends.get('b')?.();
    ends.get('c')?.();
    expect(await Promise.all(all)).toEqual([RESULT, RESULT, RESULT, RESULT]);
  });

  it('ends what is cancelled, also before its turn, and leaves nothing of it', async () => {
    const { transfers, begun, forgotten, ends } = setUp();
    const all = ['a', 'b', 'c'].map((operation) => transfers.transfer(push(operation)));
    await turn();
    const third = expect(all[2]).rejects.toMatchObject({ code: 'CANCELLED' });
    const first = expect(all[0]).rejects.toMatchObject({ code: 'CANCELLED' });
    const cancelled = transfers.cancel('c');
    expect(await transfers.cancel('a')).toBe(true);
    expect(await cancelled).toBe(true);
    await first;
    await third;
    expect(begun).toEqual(['a', 'b']);
    expect(forgotten.sort()).toEqual(['a', 'c']);
    expect(await transfers.cancel('a')).toBe(false);
    ends.get('b')?.();
    await all[1];
  });
});
