import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore } from '../adapters/sql/open-store.ts';
import type { Store } from '../ports/store.ts';
import { LeaseHolder } from './lease-holder.ts';

describe('LeaseHolder', () => {
  const log = createLogger({ name: 'test', write: () => undefined });
  let folder: string;
  let store: Store;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'selvedge-lease-'));
    store = await openStore({ file: join(folder, 'db.sqlite'), announce: () => undefined, log });
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  function holder(owner: string, atWork: Set<string>): LeaseHolder {
    const work = (signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        atWork.add(owner);
        signal.addEventListener('abort', () => {
          atWork.delete(owner);
          resolve();
        });
      });
    return new LeaseHolder({ store, name: 'scheduler', owner, clock: () => new Date(), log, work });
  }

  it('lets one of two servers work, and the other when the first stops', async () => {
    const atWork = new Set<string>();
    const first = holder('first', atWork);
    const second = holder('second', atWork);
    first.start();
    await waitUntil(() => atWork.has('first'), { timeoutMs: 30_000, what: 'the first to work' });
    second.start();
    await first.stop();
    expect(atWork.has('first')).toBe(false);
    await waitUntil(() => atWork.has('second'), { timeoutMs: 30_000, what: 'the second to work' });
    await second.stop();
    expect(atWork.size).toBe(0);
  });

  it('does not wait for a lease that is its own from before a crash', async () => {
    const now = new Date();
    await store.acquireLease('scheduler', 'same', now.toISOString(), new Date(now.getTime() + 3_600_000).toISOString());
    const atWork = new Set<string>();
    const again = holder('same', atWork);
    again.start();
    await waitUntil(() => atWork.has('same'), { timeoutMs: 30_000, what: 'work' });
    await again.stop();
  });
});
