import { LinkMeter, MqttClient, type MqttClientOptions } from '@selvedge/device-link';
import { createLogger, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startRelay } from '../../testing/relay.ts';
import { TestServer } from '../../testing/test-server.ts';

const log = createLogger({ name: 'test', write: () => undefined });
const WAIT = { timeoutMs: 30_000, what: 'it' };
let server: TestServer;
const clients: MqttClient[] = [];

function makeClient(more: Partial<MqttClientOptions> = {}, port = server.port) {
  const events: string[] = [];
  const received: { topic: string; text: string }[] = [];
  const client = new MqttClient({
    endpoint: async () => ({ host: '127.0.0.1', port, caPem: server.caPem }),
    clientId: 'device-1',
    username: 'instance-1',
    will: { topic: 'will', payload: 'gone' },
    subscriptions: ['in'],
    maxPacketBytes: 10_000,
    backoff: { baseMs: 20, maxMs: 50 },
    log,
    onMessage: (topic, payload) => void received.push({ topic, text: Buffer.from(payload).toString() }),
    onConnected: () => void events.push('connected'),
    onDisconnected: (reason) => void events.push(reason),
    ...more,
  });
  clients.push(client);
  client.start();
  return { client, events, received };
}
const connected = (client: MqttClient) => waitUntil(() => client.connected, WAIT);
const payloads = (topic: string) => server.messages.filter((message) => message.topic === topic).map((message) => message.payload);

beforeEach(async () => {
  server = await TestServer.start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.stop()));
  await server.stop();
});

describe('MqttClient', () => {
  it('sends and receives, and gets what is retained', async () => {
    await server.publish('in', 'retained', true);
    const { client, received } = makeClient();
    await connected(client);
    await client.publish('out', 'hello');
    expect(payloads('out')).toEqual(['hello']);
    await waitUntil(() => received.length > 0, WAIT);
    expect(received).toEqual([{ topic: 'in', text: '"retained"' }]);
  });

  it('says who it is', async () => {
    const seen: unknown[] = [];
    server.broker.authenticate = (client, username, _password, done) => {
      seen.push(client?.id, username);
      done(null, true);
    };
    await connected(makeClient().client);
    expect(seen).toEqual(['device-1', 'instance-1']);
  });

  it('measures its link by what is answered anyway: handshake, acknowledgements, pings', async () => {
    const relay = await startRelay(server.port, 40);
    const link = new LinkMeter(() => performance.now());
    const { client } = makeClient({ link, keepaliveMs: 200 }, relay.port);
    await connected(client);
    await client.publish('out', 'hello');
    await client.publish('out', 'x'.repeat(8000)); // says more of the rate: not counted
    expect(link.standing()).toMatchObject({ samples: 3, reconnectsDay: 0 });
    await waitUntil(() => (link.standing()?.samples ?? 0) > 3, WAIT);
    // Both ways; timers may be early by less than a millisecond.
    expect(link.standing()?.rttMs).toBeGreaterThan(78);
    expect(link.standing()?.unansweredPings).toBe(0);
    relay.close();
  });

  it('counts a connection that came again, and the ping that was not answered before it', async () => {
    const relay = await startRelay(server.port);
    const link = new LinkMeter(() => performance.now());
    const { client, events } = makeClient({ link, keepaliveMs: 100, answerTimeoutMs: 500 }, relay.port);
    await connected(client);
    relay.setSilent(true);
    await waitUntil(() => events.some((event) => event.includes('no answer to a ping')), WAIT);
    relay.setSilent(false);
    await connected(client);
    expect(link.standing()).toMatchObject({ reconnectsHour: 1, reconnectsDay: 1 });
    expect(link.standing()?.unansweredPings).toBeGreaterThan(0);
    relay.close();
  });

  it('keeps what could not be sent and sends it after the reconnection, in order', async () => {
    const { client, events } = makeClient();
    await connected(client);
    await server.close();
    await waitUntil(() => !client.connected, WAIT);
    const sent = ['a', 'b', 'c'].map((text) => client.publish('out', text));
    await server.listen();
    await Promise.all(sent);
    expect(payloads('out')).toEqual(['a', 'b', 'c']);
    expect(events.filter((event) => event === 'connected').length).toBe(2);
  });

  it('sends again what was not acknowledged when the connection was cut', async () => {
    let swallow = true;
    server.broker.authorizePublish = (_client, packet, done) => {
      if (swallow && packet.topic === 'out') {
        swallow = false;
        server.cut();
        return; // never acknowledged
      }
      done(null);
    };
    const { client } = makeClient();
    await connected(client);
    await client.publish('out', 'once more');
    expect(payloads('out')).toEqual(['once more']);
  });

  it('notices a connection on which nothing passes any more', async () => {
    const relay = await startRelay(server.port);
    const { client, events } = makeClient({ keepaliveMs: 100, answerTimeoutMs: 200 }, relay.port);
    await connected(client);
    relay.setSilent(true);
    await waitUntil(() => !client.connected, WAIT);
    expect(events[1]).toMatch(/no answer to a ping/);
    relay.setSilent(false);
    await connected(client);
    relay.close();
  });

  it('stays connected over idle times by pings', async () => {
    const pings: string[] = [];
    server.broker.on('ping', (_packet, client) => void pings.push(client.id));
    const { client, events } = makeClient({ keepaliveMs: 50 });
    await waitUntil(() => pings.length >= 3, WAIT);
    expect(client.connected).toBe(true);
    expect(events).toEqual(['connected']);
  });

  it('does not connect to a server of another CA', async () => {
    const other = await TestServer.start();
    const reasons: string[] = [];
    const quiet = createLogger({ name: 'test', write: (line) => void reasons.push(line) });
    const { client } = makeClient({ log: quiet }, other.port);
    await waitUntil(() => reasons.length > 0, WAIT);
    expect(reasons[0]).toMatch(/certificate/);
    expect(client.connected).toBe(false);
    await other.stop();
  });

  it('drops a connection that sends more than it may', async () => {
    const { client, events, received } = makeClient();
    await connected(client);
    await server.publish('in', 'x'.repeat(100_000));
    await waitUntil(() => events.length > 1, WAIT);
    expect(events[1]).toMatch(/too large/);
    expect(received).toEqual([]);
  });

  it('goes on after a message that cannot be handled', async () => {
    const { client, events } = makeClient({
      onMessage: () => {
        throw new Error('not today');
      },
    });
    await connected(client);
    await server.publish('in', 'bad');
    await client.publish('out', 'still here');
    expect(events).toEqual(['connected']);
  });

  it('refuses more than may wait, and gives up what waits when it stops', async () => {
    const { client } = makeClient({ maxPending: 2 });
    await connected(client);
    await server.close();
    await waitUntil(() => !client.connected, WAIT);
    const waiting = [client.publish('out', '1'), client.publish('out', '2')].map((sent) => sent.catch((error: unknown) => error));
    await expect(client.publish('out', '3')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await client.stop();
    expect(await Promise.all(waiting)).toMatchObject([{ code: 'INTERRUPTED' }, { code: 'INTERRUPTED' }]);
  });

  it('leaves without its last will, and the broker sends it when the connection breaks', async () => {
    const first = makeClient();
    await connected(first.client);
    await first.client.stop();
    expect(payloads('will')).toEqual([]);
    await connected(makeClient().client);
    server.cut();
    await waitUntil(() => payloads('will').length > 0, WAIT);
    expect(payloads('will')).toEqual(['gone']);
  });
});
