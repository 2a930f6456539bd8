import { randomUUID } from 'node:crypto';
import { type DeviceTopic, deviceTopic } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrokerHarness } from '../testing/broker-harness.ts';
import { type Identity, TestDevice } from '../testing/device-client.ts';
import type { BrokerHandlers, DeviceSession } from './device-broker.ts';

interface Received {
  readonly session: DeviceSession;
  readonly topic: DeviceTopic;
  readonly text: string;
}

/** What every broker of devices must do. @param retainsPresence - devices are to retain their presence with it. */
export function describeDeviceBroker(
  name: string,
  start: (handlers: BrokerHandlers) => Promise<BrokerHarness>,
  options: { retainsPresence: boolean },
): void {
  describe(`${name} as a broker of devices`, () => {
    const connected: DeviceSession[] = [];
    const disconnected: DeviceSession[] = [];
    const received: Received[] = [];
    let faults = 0;
    let harness: BrokerHarness;
    let device: Identity;
    let clients: TestDevice[] = [];
    const until = (what: string, check: () => boolean) => waitUntil(check, { timeoutMs: 15_000, intervalMs: 5, what });

    beforeAll(async () => {
      harness = await start({
        connected: (session) => void connected.push(session),
        disconnected: (session) => void disconnected.push(session),
        received: async (session, topic, payload) => {
          if (faults > 0) {
            faults -= 1;
            throw new Error('the store is away');
          }
          received.push({ session, topic, text: Buffer.from(payload).toString('utf8') });
        },
      });
    });
    afterAll(() => harness.stop());
    beforeEach(async () => {
      for (const client of clients) client.client.end(true);
      clients = [];
      faults = 0;
      device = await harness.makeDevice(`d-${randomUUID().slice(0, 8)}`);
    });

    const connect = async (identity = device, instanceId: string = randomUUID()) => {
      const client = await TestDevice.connect(harness.port, identity, instanceId, options);
      clients.push(client);
      await client.client.publishAsync(deviceTopic(identity.name, 'presence'), JSON.stringify({ v: 1, online: true, instanceId }), {
        qos: 1,
        retain: options.retainsPresence,
      });
      await until('the device to be connected', () =>
        connected.some((session) => session.device === identity.name && session.instanceId === instanceId),
      );
      return client;
    };
    const textsOf = (topic: DeviceTopic) =>
      received.filter((one) => one.session.device === device.name && one.topic === topic).map(({ text }) => text);

    it('tells who has come, and who has gone without a goodbye', async () => {
      const client = await connect();
      client.client.stream.destroy();
      await until('the device to be gone', () => disconnected.some((session) => session.device === device.name));
      const sessions = [connected, disconnected].map((list) => list.find((session) => session.device === device.name)?.id);
      expect(sessions[0]).toBe(sessions[1]);
    });

    it.runIf(options.retainsPresence)('takes the address of a device from what it says, where the connection does not tell', async () => {
      const client = await TestDevice.connect(harness.port, device, 'i-1', options);
      clients.push(client);
      const presence = { v: 1, online: true, instanceId: 'i-1', address: '192.0.2.7:4242' };
      await client.client.publishAsync(deviceTopic(device.name, 'presence'), JSON.stringify(presence), { qos: 1, retain: true });
      await until('the device to be connected', () => connected.some((session) => session.device === device.name));
      expect(connected.find((session) => session.device === device.name)).toMatchObject({ address: '192.0.2.7:4242' });
    });

    it('hands over what a device sends, in its order', async () => {
      const client = await connect();
      await Promise.all([1, 2, 3, 4, 5].map((number) => client.publish('replies', { number })));
      await until('five messages', () => textsOf('replies').length >= 5);
      expect(textsOf('replies').map((text) => JSON.parse(text).number)).toEqual([1, 2, 3, 4, 5]);
    });

    it('brings a message again that could not be taken', async () => {
      const client = await connect();
      faults = 1;
      client.client.publish(deviceTopic(device.name, 'telemetry'), '{"v":1,"again":true}', { qos: 1 });
      if (options.retainsPresence) await until('the message', () => textsOf('telemetry').length > 0);
      else {
        // The embedded broker ends the connection instead of acknowledging: the device has to send it again.
        await until('the end of the connection', () => disconnected.some((session) => session.device === device.name));
        await connect().then((next) => next.publish('telemetry', { again: true }));
      }
      expect(textsOf('telemetry')).toContain('{"v":1,"again":true}');
    });

    it('keeps a retained message for a device that comes later, and removes it by an empty one', async () => {
      await harness.broker.publish(device.name, 'desired', '{"v":1,"revision":7,"workloads":[]}', { retain: true });
      const client = await connect();
      await client.untilDesired(({ revision }) => revision === 7);
      await harness.broker.publish(device.name, 'desired', '', { retain: true });
      await harness.broker.publish(device.name, 'commands', '{"last":1}', { retain: false });
      await until('the command', () => client.received.some(({ topic }) => topic.endsWith('/commands')));
      client.client.end(true);
      const later = await connect();
      await harness.broker.publish(device.name, 'commands', '{"last":2}', { retain: false });
      await until('the command', () => later.received.some(({ topic }) => topic.endsWith('/commands')));
      expect(later.desired).toEqual([]);
    });

    it('lets a device neither hear nor say anything in the name of another', async () => {
      const other = await harness.makeDevice(`other-${randomUUID().slice(0, 8)}`);
      const client = await connect();
      const spy = await connect(other);
      await spy.client.subscribeAsync(deviceTopic(device.name, 'commands'), { qos: 1 }).catch(() => undefined);
      spy.client.publish(deviceTopic(device.name, 'replies'), '{"v":1,"forged":true}', { qos: 1 }, () => undefined);
      await harness.broker.publish(device.name, 'commands', '{"secret":1}', { retain: false });
      await until('the command', () => client.received.some(({ topic }) => topic.endsWith('/commands')));
      expect(spy.received.filter(({ topic }) => topic.includes(device.name))).toEqual([]);
      await client.publish('replies', { own: true });
      await until('the own message', () => textsOf('replies').length > 0);
      expect(textsOf('replies')).toEqual(['{"v":1,"own":true}']);
    });
  });
}
