import { describe, expect, it } from 'vitest';
import type { JoinStore, JoinToken } from './join-store.ts';

const T0 = '2026-01-01T00:00:00.000Z';
const T1 = '2026-01-01T00:01:00.000Z';
const T9 = '2026-01-09T00:00:00.000Z';

const token = (more: Partial<JoinToken> = {}): JoinToken => ({
  secretSha256: 's',
  createdAt: T0,
  expiresAt: T1,
  uses: 2,
  labels: { site: 'x' },
  needsApproval: false,
  caSha256: 'ca',
  ...more,
});

const request = (id: string, more: Partial<Parameters<JoinStore['begin']>[0]> = {}) => ({
  id,
  keySha256: 'k',
  secretSha256: 's',
  labels: { site: 'y', role: 'cam' },
  address: '10.0.0.1',
  requestedAt: T0,
  expiresAt: T9,
  maxWaiting: 2,
  ...more,
});

/** What every store of tokens and joins must do. */
export function describeJoins(joins: () => JoinStore): void {
  describe('joins', () => {
    it('takes a use per join, also when asked at once, and none for a repetition', async () => {
      await joins().saveToken(token());
      const begun = await Promise.all(['a', 'b', 'c', 'd'].map((key) => joins().begin(request(key))));
      const taken = begun.filter((join) => join !== undefined);
      expect(taken).toHaveLength(2);
      expect(taken[0]).toMatchObject({ state: 'approved', device: null, labels: { site: 'x', role: 'cam' } });
      expect(await joins().begin(request(taken[0]?.id ?? '', { requestedAt: T1 }))).toEqual(taken[0]);
      expect(await joins().listTokens(T0)).toEqual([{ ...token(), usesLeft: 0 }]);
      await joins().cancel(taken[0]?.id ?? '');
      expect((await joins().listTokens(T0))[0]?.usesLeft).toBe(1);
      await joins().cancel('unknown');
    });

    it('knows no token that is expired, invented or deleted', async () => {
      await joins().saveToken(token({ expiresAt: '2026-01-01T00:01:00Z' }));
      expect(await joins().begin(request('a', { requestedAt: T1 }))).toBeUndefined();
      expect(await joins().begin(request('a', { secretSha256: 't' }))).toBeUndefined();
      expect(await joins().begin(request('a', { requestedAt: '2026-01-01T00:00:59.999Z' }))).toBeDefined();
      expect(await joins().deleteToken('s')).toBe(true);
      expect(await joins().deleteToken('s')).toBe(false);
      expect(await joins().begin(request('b'))).toBeUndefined();
      expect(await joins().listTokens(T0)).toEqual([]);
    });

    it('keeps a name for one join', async () => {
      await joins().saveToken(token());
      await joins().begin(request('a', { expiresAt: T1 }));
      await joins().begin(request('b'));
      expect(await joins().claimName('a', 'cam-1', T0)).toBe(true);
      expect(await joins().claimName('a', 'cam-1', T0)).toBe(true);
      expect(await joins().claimName('b', 'cam-1', T0)).toBe(false);
      expect((await joins().listUndone(T0)).map(({ device }) => device)).toEqual(['cam-1', null]);
      expect(await joins().claimName('b', 'cam-1', T1)).toBe(true);
    });

    it('lets joins wait, decides them once, and bounds how many wait', async () => {
      await joins().saveToken(token({ uses: 9, needsApproval: true }));
      for (const key of ['a', 'b']) {
        expect(await joins().begin(request(key))).toMatchObject({ state: 'waiting' });
        await joins().claimName(key, `cam-${key}`, T0);
      }
      await expect(joins().begin(request('c'))).rejects.toMatchObject({ code: 'RATE_LIMITED' });
      expect((await joins().listTokens(T0))[0]?.usesLeft).toBe(7);
      expect(await joins().decide('cam-a', 'approved', T0)).toMatchObject({ id: 'a', state: 'approved', device: 'cam-a' });
      expect(await joins().decide('cam-a', 'rejected', T0)).toBeUndefined();
      expect(await joins().decide('cam-b', 'rejected', T9)).toBeUndefined();
      expect(await joins().decide('cam-b', 'rejected', T0)).toMatchObject({ state: 'rejected' });
      expect(await joins().begin(request('b'))).toMatchObject({ state: 'rejected', device: null });
      expect((await joins().listUndone(T0)).map(({ id }) => id)).toEqual(['a']);
      expect(await joins().begin(request('c'))).toMatchObject({ state: 'waiting' });
      expect(await joins().claimName('c', 'cam-b', T0)).toBe(true);
    });

    it('voids what waits with a token that is deleted, and what a removed device had', async () => {
      await joins().saveToken(token({ uses: 9, needsApproval: true }));
      await joins().begin(request('a'));
      await joins().begin(request('b'));
      await joins().claimName('a', 'cam-a', T0);
      await joins().decide('cam-a', 'approved', T0);
      await joins().deleteToken('s');
      expect((await joins().listUndone(T0)).map(({ id }) => id)).toEqual(['a']);
      await joins().forgetDevice('cam-a');
      expect(await joins().listUndone(T0)).toEqual([]);
      expect(await joins().begin(request('a'))).toBeUndefined();
    });

    it('prunes what has expired', async () => {
      await joins().saveToken(token());
      await joins().saveToken(token({ secretSha256: 'later', expiresAt: T9 }));
      await joins().begin(request('a', { expiresAt: T1 }));
      await joins().prune(T1);
      expect((await joins().listTokens(T0)).map(({ secretSha256 }) => secretSha256)).toEqual(['later']);
      expect(await joins().listUndone(T0)).toEqual([]);
    });
  });
}
