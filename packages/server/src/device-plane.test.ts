import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import * as tls from 'node:tls';
import { deviceTopic, parseJoinToken } from '@selvedge/contract';
import { createLogger, sha256Hex } from '@selvedge/runtime';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serverConfigSchema } from './config.ts';
import { createDevicePlane } from './device-plane.ts';
import { ask, type Identity, join, makeRequest, mqttOptions } from './testing/device-client.ts';
import { PlaneRig } from './testing/plane-rig.ts';

const DAY_MS = 86_400_000;

/** Unlike `once`, does not mind the error that may come first. */
const closeOf = (client: MqttClient) => new Promise((resolve) => client.once('close', () => resolve(undefined)));

describe('the device port', () => {
  let rig: PlaneRig;
  beforeEach(async () => {
    rig = await PlaneRig.start();
  });
  afterEach(() => rig.stop());

  const renew = async (identity: Identity) => {
    const { csrPem, keyPem } = await makeRequest();
    const answer = await ask(rig.port, '/device/v1/renew', { method: 'POST', body: { csrPem }, identity });
    return { answer, identity: { ...identity, key: keyPem, cert: String(answer.json().certificatePem) } };
  };
  const probe = async (identity?: Identity) => {
    const answer = await ask(rig.port, `/device/v1/blobs/${'ab'.repeat(32)}`, { identity });
    return answer.json().code;
  };

  describe('joining', () => {
    it('makes a device with the labels of the token, and shows the authority that the token names', async () => {
      const { token, joinCommand, url } = await rig.plane.desk.createToken({ labels: { site: 'lab' }, uses: 1 });
      expect(joinCommand).toBe(`selvedge agent join ${url} --token ${token}`);
      const socket = tls.connect({ port: rig.port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { issuerCertificate } = socket.getPeerCertificate(true);
      socket.destroy();
      expect(sha256Hex(issuerCertificate.raw)).toBe(parseJoinToken(token).caSha256);
      const identity = await join(rig.port, token, 'cam-1');
      const device = await rig.store.get('Device', 'cam-1');
      expect(device?.metadata.labels).toEqual({ site: 'lab' });
      expect(device?.status).toMatchObject({ online: false, info: null, conflict: null });
      expect(device?.status.certificate.fingerprint256).toBe(sha256Hex(new X509Certificate(identity.cert).raw));
    });

    it('names devices by number when no name is wished', async () => {
      const { token } = await rig.plane.desk.createToken({ uses: 3 });
      const names = await Promise.all([1, 2, 3].map(async () => (await join(rig.port, token)).name));
      expect(names.sort()).toEqual(['device-1', 'device-2', 'device-3']);
    });

    it('refuses a token that is used up, expired or invented', async () => {
      const { token } = await rig.plane.desk.createToken({});
      await join(rig.port, token);
      await expect(join(rig.port, token)).rejects.toMatchObject({ code: 'JOIN_TOKEN_INVALID' });
      const { token: late } = await rig.plane.desk.createToken({ ttlS: 60 });
      rig.skewMs = 61_000;
      await expect(join(rig.port, late)).rejects.toMatchObject({ code: 'JOIN_TOKEN_INVALID' });
    });

    it('refuses a name that another device has, and gives the use of the token back', async () => {
      await rig.join('cam-1');
      const { token } = await rig.plane.desk.createToken({});
      await expect(join(rig.port, token, 'cam-1')).rejects.toMatchObject({ code: 'CONFLICT' });
      expect((await join(rig.port, token, 'cam-2')).name).toBe('cam-2');
    });

    it('names every fault of a malformed request, and bounds its size', async () => {
      const wrong = await ask(rig.port, '/device/v1/join', { method: 'POST', body: { secret: 'x', extra: 1 } });
      expect(wrong.status).toBe(400);
      expect(wrong.json()).toMatchObject({
        code: 'INPUT_INVALID',
        issues: expect.arrayContaining([expect.objectContaining({ path: 'extra' })]),
      });
      const large = await ask(rig.port, '/device/v1/join', { method: 'POST', body: { secret: 'x'.repeat(100_000) } });
      expect(large.status).toBe(413);
    });

    it('stops listening to an address that tries secrets', async () => {
      const { csrPem } = await makeRequest();
      const attempt = async () => {
        const body = { secret: 'wrong-wrong-wrong-wrong', csrPem };
        return (await ask(rig.port, '/device/v1/join', { method: 'POST', body })).json().code;
      };
      const codes = new Set<unknown>();
      for (let count = 0; count < 21; count += 1) codes.add(await attempt());
      expect([...codes]).toEqual(['JOIN_TOKEN_INVALID', 'RATE_LIMITED']);
      rig.skewMs = 61_000;
      expect(await attempt()).toBe('JOIN_TOKEN_INVALID');
    });
  });

  describe('identity', () => {
    it('knows nobody without a certificate, and nobody of another authority', async () => {
      expect(await probe()).toBe('UNAUTHENTICATED');
      const other = await PlaneRig.start();
      const stranger = await other.join('cam-1');
      await other.stop();
      const mine = await rig.join('cam-1');
      const { key, cert } = stranger;
      expect(await probe({ ...mine, key, cert })).toBe('UNAUTHENTICATED');
      await expect(connectAsync(mqttOptions(rig.port, { ...mine, key, cert }))).rejects.toMatchObject({ code: 5 });
    });

    it('takes the old and the renewed certificate until the renewed one is used', async () => {
      const first = await rig.join('cam-1');
      const { identity: lost } = await renew(first);
      const { identity: second } = await renew(first);
      expect(await probe(first)).toBe('NOT_FOUND');
      expect(await probe(lost)).toBe('UNAUTHENTICATED');
      expect(await probe(second)).toBe('NOT_FOUND');
      expect(await probe(first)).toBe('UNAUTHENTICATED');
      await expect(connectAsync(mqttOptions(rig.port, first))).rejects.toMatchObject({ code: 5 });
      await rig.connect(second);
    });

    it('lets an expired certificate renew and do nothing else', async () => {
      rig.skewMs = -100 * DAY_MS;
      const expired = await rig.join('cam-1');
      rig.skewMs = 0;
      expect(await probe(expired)).toBe('UNAUTHENTICATED');
      await expect(connectAsync(mqttOptions(rig.port, expired))).rejects.toMatchObject({ code: 5 });
      const { identity } = await renew(expired);
      expect(await probe(identity)).toBe('NOT_FOUND');
      await rig.connect(identity);
    });

    it('refuses a removed device at once, on open connections and on new ones', async () => {
      const identity = await rig.join('cam-1');
      const idle = tls.connect({ port: rig.port, host: '127.0.0.1', servername: 'selvedge-server', ...identity });
      await once(idle, 'secureConnect');
      const device = await rig.connect(identity);
      const closed = [closeOf(device.client), once(idle, 'close')];
      expect(await rig.plane.removeDevice('cam-1')).toBe(true);
      await Promise.all(closed);
      expect(await probe(identity)).toBe('DEVICE_REVOKED');
      await expect(connectAsync(mqttOptions(rig.port, identity))).rejects.toMatchObject({ code: 5 });
      expect((await renew(identity)).answer.json().code).toBe('DEVICE_REVOKED');
      expect(await rig.plane.removeDevice('cam-1')).toBe(false);
      await rig.join('cam-1');
      expect(await probe(identity)).toBe('UNAUTHENTICATED');
    });
  });

  describe('MQTT', () => {
    it('ties the client id to the certificate and demands an instance id', async () => {
      const identity = await rig.join('cam-1');
      await rig.join('cam-2');
      await expect(connectAsync(mqttOptions(rig.port, identity, { clientId: 'cam-2' }))).rejects.toMatchObject({ code: 2 });
      await expect(connectAsync(mqttOptions(rig.port, identity, { username: '' }))).rejects.toMatchObject({ code: 2 });
    });

    it('lets a device subscribe to its own topics only', async () => {
      const device = await rig.connect(await rig.join('cam-1'));
      const foreign = ['#', 'selvedge/v1/devices/+/desired', deviceTopic('cam-2', 'desired'), '$SYS/#'];
      for (const topic of foreign) await expect(device.client.subscribeAsync(topic)).rejects.toThrow();
    });

    it('ends the connection of a device that publishes elsewhere', async () => {
      const identity = await rig.join('cam-1');
      for (const topic of [deviceTopic('cam-2', 'reported'), deviceTopic('cam-1', 'desired'), 'elsewhere']) {
        const device = await rig.connect(identity);
        const closed = closeOf(device.client);
        device.client.publish(topic, '{}', { qos: 1 });
        await closed;
      }
    });

    it('ends the connection of a device that sends too much', async () => {
      const device = await rig.connect(await rig.join('cam-1'));
      const closed = closeOf(device.client);
      device.client.publish(deviceTopic('cam-1', 'reported'), Buffer.alloc(7 * 1024 * 1024), { qos: 1 });
      await closed;
    });
  });

  describe('sessions', () => {
    /** A request on a connection of its own, which goes on with a session when there is one. */
    const visit = async (identity: Identity, session?: Buffer) => {
      const { key, cert, ca } = identity;
      const options = { port: rig.port, host: '127.0.0.1', servername: 'selvedge-server', key, cert, ca };
      const socket = tls.connect(session === undefined ? options : { ...options, session });
      let next: Buffer | undefined;
      socket.on('session', (made) => {
        next = made;
      });
      socket.write('GET /device/v1/trust HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n');
      let resumed: boolean | undefined;
      socket.once('secureConnect', () => {
        resumed = socket.isSessionReused();
      });
      const answer = await text(socket);
      return { resumed, status: Number(answer.split(' ')[1]), answer, session: next };
    };

    it('go on after a restart of the server, and let nobody in who may not', async () => {
      const identity = await rig.join('cam-1');
      const first = await visit(identity);
      expect(first).toMatchObject({ resumed: false, status: 200 });
      expect(await visit(identity, first.session)).toMatchObject({ resumed: true, status: 200 });
      await rig.restart();
      expect(await visit(identity, first.session)).toMatchObject({ resumed: true, status: 200 });

      const { identity: renewed } = await renew(identity);
      expect(await visit(renewed)).toMatchObject({ resumed: false, status: 200 });
      // a session is as old as the certificate that it began with
      expect(await visit(renewed, first.session)).toMatchObject({ resumed: true, status: 401 });
      await rig.plane.removeDevice('cam-1');
      const removed = await visit(identity, first.session);
      expect(removed).toMatchObject({ resumed: true, answer: expect.stringContaining('DEVICE_REVOKED') });
    });

    it('end when the authorities change', async () => {
      const identity = await rig.join('cam-1');
      const { session } = await visit(identity);
      await rig.plane.rotateCa({});
      expect(await visit(identity, session)).toMatchObject({ resumed: false, status: 200 });
    });
  });

  it('says which flag moves a port that is taken', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const address = blocker.address();
    const devicePort = typeof address === 'object' && address !== null ? address.port : 0;
    const config = serverConfigSchema.parse({ dataDir: rig.folder, devicePort, toolCommand: ['none'] });
    const log = createLogger({ name: 'test', level: 'error' });
    const plane = createDevicePlane({ config, store: rig.store, blobs: rig.blobs, hub: rig.hub, log, clock: () => new Date() });
    await expect(plane.start()).rejects.toMatchObject({ code: 'PORT_IN_USE', details: { hint: expect.stringContaining('--device-port') } });
    blocker.close();
    await once(blocker, 'close');
    expect(await plane.start()).toEqual({ port: devicePort });
    await plane.stop();
  });
});
