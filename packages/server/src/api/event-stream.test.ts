import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { waitUntil } from '@selvedge/runtime';
import fastify from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { EventHub } from '../services/event-hub.ts';
import { EventStream } from './event-stream.ts';

describe('EventStream', () => {
  const hub = new EventHub();
  const stream = new EventStream(hub);
  const app = fastify({ forceCloseConnections: true });
  afterEach(async () => {
    stream.stop();
    await app.close();
  });

  it('drops a client that does not read, and goes on with the others', async () => {
    app.get('/events', (_request, reply) => stream.attach(reply, undefined));
    stream.start();
    await app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = app.server.address() as AddressInfo;
    const slow = connect(port, '127.0.0.1');
    slow.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
    slow.pause();
    const fast = await fetch(`http://127.0.0.1:${port}/events`);
    let received = 0;
    const reading = (async () => {
      for await (const chunk of fast.body ?? []) received += chunk.length;
    })();
    await waitUntil(() => stream.size === 2, { timeoutMs: 30_000, what: 'both clients' });
    const gone = once(slow, 'close');
    const points = [{ metric: 'x'.repeat(100_000), step: 1, value: 1, at: new Date().toISOString() }];
    await waitUntil(
      () => {
        hub.publish({ type: 'metric', run: 'r', points });
        return stream.size === 1;
      },
      { timeoutMs: 20_000, intervalMs: 1, what: 'the slow client to be dropped' },
    );
    slow.resume();
    await gone;
    expect(received).toBeGreaterThan(4 * 1024 * 1024);
    stream.stop();
    await reading;
  });
});
