import type { AppError, BundleStatement } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import {
  type BundleOrder,
  type BundleSituation,
  emptyMemory,
  judgeBundle,
  needsContent,
  revokesDevice,
  withStatement,
} from './bundle-order.ts';

const OWN = 'a'.repeat(64);
const AUTHORITY = 'f'.repeat(64);
const statement: BundleStatement = {
  formatVersion: 1,
  id: 'bundle-2',
  authoritySha256: AUTHORITY,
  createdAt: '2026-11-01T00:00:00.000Z',
  expiresAt: '2026-12-01T00:00:00.000Z',
  devices: [{ name: 'edge-1', certificates: [OWN], desired: { v: 1, revision: 5, workloads: [] }, content: [] }],
  content: [],
  revoked: { bundles: [], certificates: [] },
};
const situation: BundleSituation = {
  device: 'edge-1',
  certificateSha256: OWN,
  memory: emptyMemory(AUTHORITY),
  nowMs: Date.parse('2026-11-10T00:00:00.000Z'),
  joinedAt: '2026-01-01T00:00:00.000Z',
  knownRevision: 4,
};

function refusal(change: Partial<BundleStatement>, about: Partial<BundleSituation>): { code: string; message: string } {
  try {
    judgeBundle({ ...statement, ...change }, { ...situation, ...about });
  } catch (error) {
    const { code, message } = error as AppError;
    return { code, message };
  }
  throw new Error('it was taken');
}

describe('a bundle on a device', () => {
  it('is taken when it is newer, or the same again', () => {
    expect(judgeBundle(statement, situation).desired.revision).toBe(5);
    expect(judgeBundle(statement, { ...situation, knownRevision: 5 }).desired.revision).toBe(5);
  });

  it('never takes the device back', () => {
    expect(refusal({}, { knownRevision: 6 })).toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('revision 5, known is 6'),
    });
  });

  it('is for this device and its certificate alone', () => {
    expect(refusal({}, { device: 'edge-2' }).code).toBe('BUNDLE_OTHER_DEVICE');
    expect(refusal({}, { certificateSha256: 'b'.repeat(64) }).message).toMatch(/another device of the name/);
  });

  it('expires by the clock of the device, or by a time that the server has signed when that clock is behind', () => {
    const late = Date.parse(statement.expiresAt);
    expect(refusal({}, { nowMs: late }).code).toBe('BUNDLE_EXPIRED');
    const newestSignedAt = '2026-12-24T00:00:00.000Z';
    const behind = refusal({}, { nowMs: 0, memory: { ...situation.memory, newestSignedAt } });
    expect(behind).toMatchObject({ code: 'BUNDLE_EXPIRED', message: expect.stringContaining('1970-01-01T00:00:00.000Z, which is wrong') });
    expect(refusal({}, { nowMs: 0, joinedAt: newestSignedAt }).code).toBe('BUNDLE_EXPIRED');
    expect(judgeBundle(statement, { ...situation, nowMs: 0 }).name).toBe('edge-1');
  });

  it('is refused when it was revoked, and so is every bundle once the device was removed', () => {
    expect(refusal({}, { memory: { ...situation.memory, revokedBundles: ['bundle-2'] } }).code).toBe('BUNDLE_REVOKED');
    const removing = { ...statement, devices: [], revoked: { bundles: [], certificates: [OWN] } };
    expect(revokesDevice(removing, situation)).toBe(true);
    expect(refusal(removing, {}).code).toBe('DEVICE_REVOKED');
    expect(refusal({}, { memory: { ...situation.memory, revokedCertificate: OWN } }).code).toBe('DEVICE_REVOKED');
    const joinedAnew = { ...situation, memory: { ...situation.memory, revokedCertificate: 'c'.repeat(64) } };
    expect(judgeBundle(statement, joinedAnew).name).toBe('edge-1');
  });
});

describe('what is remembered', () => {
  it('is the newest time that was signed, and the newest list of what is revoked', () => {
    const first = withStatement(emptyMemory(AUTHORITY), { ...statement, revoked: { bundles: ['bundle-1'], certificates: [] } });
    expect(first).toMatchObject({ newestSignedAt: statement.createdAt, revokedBundles: ['bundle-1'] });
    const older = { ...statement, createdAt: '2026-10-01T00:00:00.000Z', revoked: { bundles: ['bundle-0'], certificates: [] } };
    expect(withStatement(first, older)).toMatchObject({ newestSignedAt: statement.createdAt, revokedBundles: ['bundle-1', 'bundle-0'] });
    const newer = { ...statement, createdAt: '2026-11-02T00:00:00.000Z' };
    expect(withStatement(first, newer)).toMatchObject({ newestSignedAt: newer.createdAt, revokedBundles: [] });
  });
});

describe('content of a bundle', () => {
  const workload = {
    name: 'w',
    kind: 'model-server' as const,
    model: 'm',
    version: '2',
    manifest: { sha256: OWN, sizeBytes: 1 },
    servingPort: 0,
  };
  const order = (extra = {}): BundleOrder => ({
    formatVersion: 1,
    id: 'bundle-2',
    createdAt: statement.createdAt,
    desired: { v: 1, revision: 5, workloads: [{ ...workload, ...extra }] },
  });
  const serving = { name: 'w', state: 'serving', servingVersion: '2' };

  it('is kept until the version serves and its trial is over', () => {
    expect(needsContent(order(), 5, [])).toBe(true);
    expect(needsContent(order(), 5, [{ ...serving, servingVersion: '1' }])).toBe(true);
    expect(needsContent(order(), 5, [{ ...serving, trial: { state: 'running' } }])).toBe(true);
    expect(needsContent(order(), 5, [serving])).toBe(false);
    expect(needsContent(order(), 6, [])).toBe(false);
  });

  it('is kept with a native package, which may have to give way to the model server', () => {
    const archive = { sha256: OWN, sizeBytes: 1 };
    const native = { package: 'p', model: 'm', version: '2', target: 'linux-amd64', archive, manifestSha256: OWN };
    expect(needsContent(order({ native }), 5, [serving])).toBe(true);
    expect(needsContent(order({ native }), 6, [serving])).toBe(false);
  });
});
