import { X509Certificate } from 'node:crypto';
import { deviceTopic, deviceTrustSchema, joinResponseSchema, parseJoinToken } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { connectAsync } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, type Identity, join, makeRequest, mqttOptions, TestDevice } from './testing/device-client.ts';
import { PlaneRig } from './testing/plane-rig.ts';

const DAY_MS = 86_400_000;
let rig: PlaneRig;
beforeEach(async () => {
  rig = await PlaneRig.start();
});
afterEach(() => rig.stop());

/** Joins as often as wished with one key, as an agent does that is restarted. */
async function joiner(token: string, name?: string) {
  const { csrPem, keyPem } = await makeRequest();
  const body = { secret: parseJoinToken(token).secret, csrPem, labels: { role: 'cam' }, ...(name === undefined ? {} : { name }) };
  const attempt = () => ask(rig.port, '/device/v1/join', { method: 'POST', body });
  const succeed = async (): Promise<Identity> => {
    const { device, certificatePem, caPem } = joinResponseSchema.parse((await attempt()).json());
    return { name: device, key: keyPem, cert: certificatePem, ca: caPem };
  };
  return { attempt, succeed, code: async () => (await attempt()).json().code };
}

const knows = async (identity: Identity) => (await ask(rig.port, `/device/v1/blobs/${'ab'.repeat(32)}`, { identity })).json().code;

describe('a join that is repeated', () => {
  it('is the same join: one device, one use, and the newest certificate works', async () => {
    const { token } = await rig.plane.desk.createToken({ uses: 1 });
    const agent = await joiner(token);
    const lost = await agent.succeed();
    const kept = await agent.succeed();
    expect([lost.name, kept.name]).toEqual(['device-1', 'device-1']);
    expect(await knows(kept)).toBe('NOT_FOUND');
    expect(await (await joiner(token)).code()).toBe('JOIN_TOKEN_INVALID');
    expect((await rig.store.list('Device')).items).toHaveLength(1);
  });

  it('is another one when it wishes another name, although the key is the same', async () => {
    const { token } = await rig.plane.desk.createToken({ uses: 2 });
    const { csrPem } = await makeRequest();
    const answers = [];
    for (const name of ['sim-1', 'sim-2', 'sim-2']) {
      const body = { secret: parseJoinToken(token).secret, csrPem, name };
      answers.push((await ask(rig.port, '/device/v1/join', { method: 'POST', body })).json().device);
    }
    expect(answers).toEqual(['sim-1', 'sim-2', 'sim-2']);
  });

  it('does not bring a removed device back', async () => {
    const { token } = await rig.plane.desk.createToken({ uses: 1 });
    const agent = await joiner(token);
    await agent.succeed();
    await rig.plane.removeDevice('device-1');
    expect(await agent.code()).toBe('JOIN_TOKEN_INVALID');
  });

  it('gives no certificate to a key that the device has given up', async () => {
    const { token } = await rig.plane.desk.createToken({ uses: 1 });
    const agent = await joiner(token);
    const first = await agent.succeed();
    const { csrPem, keyPem } = await makeRequest();
    const renewed = await ask(rig.port, '/device/v1/renew', { method: 'POST', body: { csrPem }, identity: first });
    await knows({ ...first, key: keyPem, cert: String(renewed.json().certificatePem) });
    expect(await agent.code()).toBe('CONFLICT');
  });
});

describe('approval', () => {
  it('holds a join back until an operator decides, over a restart of the server', async () => {
    const { token } = await rig.plane.desk.createToken({ approve: true, uses: 2, labels: { site: 'lab' } });
    const agent = await joiner(token, 'cam-1');
    expect(await agent.code()).toBe('JOIN_PENDING');
    expect((await rig.plane.desk.listJoins())[0]).toMatchObject({ name: 'cam-1', state: 'waiting', labels: { site: 'lab', role: 'cam' } });
    await rig.restart();
    expect(await agent.code()).toBe('JOIN_PENDING');
    expect(await rig.store.get('Device', 'cam-1')).toBeUndefined();
    await rig.plane.desk.decide('cam-1', 'approved');
    expect((await rig.plane.desk.listJoins())[0]).toMatchObject({ name: 'cam-1', state: 'approved' });
    const identity = await agent.succeed();
    expect(await knows(identity)).toBe('NOT_FOUND');
    const device = await rig.store.get('Device', 'cam-1');
    expect(device?.metadata.labels).toEqual({ site: 'lab', role: 'cam' });
    expect(await rig.plane.desk.listJoins()).toEqual([]);
    await expect(rig.plane.desk.decide('cam-1', 'approved')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('tells a rejected device, and frees its name', async () => {
    const { token } = await rig.plane.desk.createToken({ approve: true, uses: 2 });
    const agent = await joiner(token, 'cam-1');
    await agent.attempt();
    await rig.plane.desk.decide('cam-1', 'rejected');
    expect(await agent.code()).toBe('JOIN_REJECTED');
    expect((await rig.join('cam-1')).name).toBe('cam-1');
  });

  it('keeps the name of one that waits, and forgets it after a week', async () => {
    const { token } = await rig.plane.desk.createToken({ approve: true, uses: 2, ttlS: 30 * 86_400 });
    const agent = await joiner(token, 'cam-1');
    await agent.attempt();
    await expect(rig.join('cam-1')).rejects.toMatchObject({ code: 'CONFLICT' });
    rig.skewMs = 8 * DAY_MS;
    expect(await rig.plane.desk.listJoins()).toEqual([]);
    expect((await rig.join('cam-1')).name).toBe('cam-1');
  });
});

describe('join tokens', () => {
  it('are listed without their secret, and revoked with what waits', async () => {
    const { token } = await rig.plane.desk.createToken({ approve: true, uses: 3, labels: { site: 'lab' } });
    const agent = await joiner(token);
    await agent.attempt();
    const [shown] = await rig.plane.desk.listTokens();
    expect(shown).toMatchObject({ uses: 3, usesLeft: 2, labels: { site: 'lab' }, approve: true, lasting: true });
    expect(JSON.stringify(shown)).not.toContain(parseJoinToken(token).secret);
    await rig.plane.desk.revokeToken(shown?.id ?? '');
    expect(await rig.plane.desk.listTokens()).toEqual([]);
    expect(await rig.plane.desk.listJoins()).toEqual([]);
    expect(await agent.code()).toBe('JOIN_TOKEN_INVALID');
    await expect(rig.plane.desk.revokeToken('0123456789ab')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a change of authorities', () => {
  const trustOf = async (identity: Identity) => deviceTrustSchema.parse((await ask(rig.port, '/device/v1/trust', { identity })).json());
  const fingerprints = (pem: string) =>
    (pem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map((one) =>
      new X509Certificate(one).fingerprint256.replaceAll(':', '').toLowerCase(),
    );

  /** Does what an agent does when it is asked to. */
  async function refresh(identity: Identity): Promise<Identity> {
    const trust = await trustOf(identity);
    const { csrPem, keyPem } = await makeRequest();
    const answer = await ask(rig.port, '/device/v1/renew', {
      method: 'POST',
      body: { csrPem },
      identity: { ...identity, ca: trust.caPem },
    });
    const renewed = { ...identity, key: keyPem, cert: String(answer.json().certificatePem), ca: trust.caPem };
    expect(await knows(renewed)).toBe('NOT_FOUND');
    return renewed;
  }
  const report = async (device: TestDevice, identity: Identity) => {
    await device.publish('reported', {
      sequence: 1_000 + Math.round(performance.now()),
      instanceId: device.instanceId,
      observedRevision: 0,
      info: { agentVersion: '1', hostname: 'h', arch: 'arm64', platform: 'linux', osRelease: '', cpuModel: '', cpus: 1, memoryBytes: 1 },
      workloads: [],
      trusts: fingerprints(identity.ca),
    });
  };

  it('lets devices follow one by one, over restarts, and ends when all have; old packages still verify', async () => {
    const first = await rig.join('cam-1');
    const before = await rig.plane.caStatus();
    const started = await rig.plane.rotateCa({});
    const next = started.next?.sha256 ?? '';
    expect(started).toMatchObject({ current: before.current, devices: { total: 1, ready: 0 } });
    expect((await rig.plane.rotateCa({})).next?.sha256).toBe(next);
    await rig.restart();
    expect((await rig.plane.caStatus()).next?.sha256).toBe(next);

    // Both before and after it has followed, the device is known, and so is one that joins with a token of now.
    const device = await rig.connect(first);
    await report(device, first);
    await waitUntil(() => device.received.some(({ topic }) => topic === deviceTopic('cam-1', 'commands')), {
      timeoutMs: 30_000,
      what: 'the device to be asked',
    });
    expect(await knows(first)).toBe('NOT_FOUND');
    await expect(rig.plane.rotateCa({ finish: true })).rejects.toMatchObject({ code: 'CONFLICT' });
    const followed = await refresh(first);
    expect(fingerprints((await trustOf(followed)).caPem)).toEqual([before.current.sha256, next]);
    await report(device, followed);
    await rig.untilDevice('cam-1', ({ status }) => status.certificate.issuerSha256 === next && status.trusts?.includes(next) === true);
    const { token } = await rig.plane.desk.createToken({});
    expect((await rig.plane.desk.listTokens())[0]?.lasting).toBe(false);
    await expect(rig.plane.rotateCa({ finish: true })).rejects.toMatchObject({ code: 'CONFLICT' });
    const late = await join(rig.port, token, 'cam-2');
    await rig.plane.removeDevice('cam-2');
    expect(late.name).toBe('cam-2');

    // The rest goes by itself.
    await waitUntil(async () => (await rig.plane.caStatus()).next === null, { timeoutMs: 15_000, what: 'the change to end' });
    const after = await rig.plane.caStatus();
    expect(after).toMatchObject({ current: { sha256: next }, retired: [before.current] });
    expect(fingerprints(rig.plane.trust.caPem)).toEqual([next, before.current.sha256]);
    expect(await knows(followed)).toBe('NOT_FOUND');
    // It trusts the old authority alone, which the server no longer shows.
    const isRefused = () =>
      knows(first).then(
        () => false,
        () => true,
      );
    await waitUntil(isRefused, { timeoutMs: 30_000, what: 'the new certificate of the server' });
    await expect(connectAsync(mqttOptions(rig.port, { ...first, ca: followed.ca }))).rejects.toMatchObject({ code: 5 });
    const trust = await trustOf(followed);
    expect(fingerprints(trust.caPem)).toEqual([next]);
    expect(fingerprints(trust.packageCaPem)).toEqual([next, before.current.sha256]);
    await rig.restart();
    expect(await rig.plane.caStatus()).toEqual(after);
    expect(await knows({ ...followed, ca: trust.caPem })).toBe('NOT_FOUND');
  }, 60_000);

  it('ends by force, which leaves behind who has not followed', async () => {
    const left = await rig.join('cam-1');
    await expect(rig.plane.rotateCa({ finish: true })).rejects.toMatchObject({ code: 'CONFLICT' });
    await rig.plane.rotateCa({});
    const status = await rig.plane.rotateCa({ finish: true, force: true });
    expect(status.next).toBeNull();
    await expect(connectAsync(mqttOptions(rig.port, { ...left, ca: rig.plane.trust.caPem }))).rejects.toMatchObject({ code: 5 });
    const again = await rig.join('cam-9');
    await (await TestDevice.connect(rig.port, again)).client.endAsync();
  });
});

describe('what a device says of itself', () => {
  it('shows its clock, its place and where it connects from', async () => {
    const device = await rig.connect(await rig.join('cam-1'));
    const info = {
      agentVersion: '1',
      hostname: 'h',
      arch: 'arm64',
      platform: 'linux',
      osRelease: '',
      cpuModel: '',
      cpus: 1,
      memoryBytes: 1,
    };
    const head = { instanceId: device.instanceId, observedRevision: 0, info, workloads: [] };
    await device.publish('reported', { ...head, sequence: 1, clockOffsetMs: -1.7e12, location: { latitude: 52.5, longitude: 13.4 } });
    const { status } = await rig.untilDevice('cam-1', (one) => one.status.clockOffsetMs !== undefined);
    expect(status).toMatchObject({ clockOffsetMs: -1.7e12, location: { latitude: 52.5, longitude: 13.4 }, address: '127.0.0.1' });
    await device.publish('reported', { ...head, sequence: 2 });
    const later = await rig.untilDevice('cam-1', (one) => one.status.clockOffsetMs === undefined);
    expect(later.status.location).toBeUndefined();
  });
});
