import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  buildFakeServer,
  type FakeServer,
  type FakeServerOptions,
  RawClient,
  raw,
  rawInfer,
  ready,
  residentKb,
  startFakeServer,
  tensor,
  until,
  VALUES,
} from './harness/fake-server.ts';

const INFER = '/v2/models/colours/infer';
const HEAD = `POST ${INFER} HTTP/1.1\r\nHost: x\r\n`;
let program: string;
let running: FakeServer[] = [];

async function start(options: Omit<FakeServerOptions, 'program'> = {}): Promise<FakeServer> {
  const server = await startFakeServer({ program, ...options });
  running.push(server);
  await ready(server.url);
  return server;
}
const isAlive = async (server: FakeServer) => (await fetch(`${server.url}/health`)).status === 200;

beforeAll(async () => {
  program = await buildFakeServer();
}, 240_000);
afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  running = [];
});

describe('slow clients', () => {
  const quick = ['--header-timeout-ms', '300', '--request-timeout-ms', '600', '--idle-timeout-ms', '500'];

  it('have a deadline for the head that no trickle of bytes prolongs', async () => {
    const server = await start({ args: quick });
    const client = new RawClient(server.port).write('GET /health HTTP/1.1\r\n');
    const trickle = setInterval(() => client.socket.writable && client.write('X: y\r\n'), 20);
    expect(await client.closed()).toMatch(/^HTTP\/1.1 408 /);
    clearInterval(trickle);
  });

  it('have a deadline for the body that no trickle of bytes prolongs', async () => {
    const server = await start({ args: quick });
    const client = new RawClient(server.port).write(`${HEAD}Content-Length: 100000\r\n\r\n{`);
    const trickle = setInterval(() => client.socket.writable && client.write(' '), 20);
    expect(await client.closed()).toMatch(/^HTTP\/1.1 408 /);
    clearInterval(trickle);
  });

  it('that say nothing are closed without a word', async () => {
    const server = await start({ args: quick });
    expect(await new RawClient(server.port).closed()).toBe('');
    const idle = new RawClient(server.port).write('GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await idle.closed()).match(/HTTP/g)).toHaveLength(1);
    expect(await new RawClient(server.port).write('\r\n').closed()).toBe('');
  });

  it('that do not take their answer are closed', async () => {
    const server = await start({ args: quick });
    const client = new RawClient(server.port);
    client.socket.pause();
    client.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20_000));
    await until('it is gone', async () => {
      client.socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
      return client.isClosed || client.socket.errored !== null;
    });
    expect(await isAlive(server)).toBe(true);
  });

  it('make room for those who come after them', async () => {
    const server = await start({ args: ['--max-connections', '50'] });
    const slow = Array.from({ length: 200 }, () => new RawClient(server.port).write('GET /health HTTP/1.1\r\nX: '));
    const bodies = Array.from({ length: 100 }, () => new RawClient(server.port).write(`${HEAD}Content-Length: 100000\r\n\r\n{`));
    for (let count = 0; count < 100; count += 1) {
      const answer = await fetch(server.url + INFER, { method: 'POST', body: JSON.stringify(tensor(VALUES)) });
      expect(answer.status).toBe(200);
      await answer.text();
    }
    await until('most are closed', () => [...slow, ...bodies].filter(({ isClosed }) => isClosed).length >= 250);
    for (const client of [...slow, ...bodies]) client.socket.destroy();
  });
});

describe('large clients', () => {
  it('cannot fill the memory with bodies that they do not finish', async () => {
    const server = await start();
    const megabytes = Buffer.alloc(8 * 1024 * 1024, ' ');
    const large = Array.from({ length: 40 }, () =>
      new RawClient(server.port).write(`${HEAD}Content-Length: 16777216\r\n\r\n`).write(megabytes),
    );
    await until('those beyond the sum are refused', () => large.filter(({ text }) => text.startsWith('HTTP/1.1 429')).length >= 30);
    expect(await residentKb(server)).toBeLessThan(160 * 1024);
    const small = await fetch(server.url + INFER, { method: 'POST', body: JSON.stringify(tensor(VALUES)) });
    expect(small.status).toBe(200);
    for (const client of large) client.socket.destroy();
  });

  it('cannot fill the memory with numbers or with nesting', async () => {
    const server = await start();
    const post = (body: string) => fetch(server.url + INFER, { method: 'POST', body });
    const numbers = `{"inputs":[{"name":"input","datatype":"FP32","shape":[1,3,4,4],"data":[${'1,'.repeat(7_000_000)}1]}]}`;
    expect(await (await post(numbers)).text()).toMatch(/needs 48 values and has 7000001/);
    for (const open of ['[', '{"a":', '{"inputs":[{"data":[', '[{"inputs":']) {
      const answer = await post(open.repeat(Math.floor(15_000_000 / open.length)));
      expect([answer.status, await answer.text()]).toEqual([400, expect.any(String)]);
    }
    const shape = {
      inputs: [{ name: 'input', datatype: 'FP32', shape: Array(16).fill(2 ** 31 - 1), parameters: { binary_data_size: 4 } }],
    };
    expect((await post(JSON.stringify(shape))).status).toBe(400);
    expect(await residentKb(server)).toBeLessThan(100 * 1024);
  });
});

describe('malformed requests', () => {
  it('get a 400 and the end of the connection', async () => {
    const server = await start();
    const bad = [
      'GET /v2\r\n\r\n',
      'GET /v2 HTTP/2.0\r\nHost: x\r\n\r\n',
      'GET /v2 HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
      'GET /v2 HTTP/1.1\r\nHost : x\r\n\r\n',
      'GET /v2 HTTP/1.1\r\nHost: x\n folded: y\r\n\r\n',
      'GET \0 HTTP/1.1\r\nHost: x\r\n\r\n',
      'NOTHING /v2 HTTP/1.1\r\nHost: x\r\n\r\n',
      `${HEAD}Content-Length: 18446744073709551616\r\n\r\n`,
      `${HEAD}Content-Length: +5\r\n\r\nabcde`,
      `${HEAD}Content-Length: 0x5\r\n\r\nabcde`,
      `${HEAD}Content-Length: 5, 5\r\n\r\nabcde`,
      `${HEAD}Transfer-Encoding: chunked, gzip\r\n\r\n`,
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n-1\r\n`,
      `${HEAD}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n`,
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`,
    ];
    for (const bytes of bad) expect(await raw(server.port, bytes), bytes).toMatch(/^HTTP\/1.1 400 .*\r\nConnection: close/);
    expect(await isAlive(server)).toBe(true);
  });

  it('cannot hide endless heads in lines, chunks or trailers', async () => {
    const server = await start();
    expect(await raw(server.port, `GET /v2 HTTP/1.1\r\nHost: x\r\n${'A:\r\n'.repeat(20_000)}\r\n`)).toMatch(/^HTTP\/1.1 431/);
    expect(await raw(server.port, `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(/^HTTP\/1.1 431/);
    const chunked = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
    expect(await raw(server.port, chunked + `1;${'a'.repeat(1000)}\r\nx\r\n`.repeat(30))).toMatch(/^HTTP\/1.1 431/);
    expect(await raw(server.port, `${chunked}1\r\nx\r\n0\r\n${'A: b\r\n'.repeat(20_000)}\r\n`)).toMatch(/^HTTP\/1.1 431/);
  });

  it('in trailers change nothing of the request', async () => {
    const server = await start();
    const body = JSON.stringify(tensor(VALUES));
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\nInference-Header-Content-Length: 1\r\nHost: y\r\n\r\n`;
    const answer = await raw(server.port, `${HEAD}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
    expect(answer).toMatch(/^HTTP\/1.1 200/);
  });
});

describe('odd but honest clients', () => {
  it('may expect 100-continue, and get it only when the body is wanted', async () => {
    const server = await start();
    const body = JSON.stringify(tensor(VALUES));
    const client = new RawClient(server.port).write(
      `${HEAD}Expect: 100-continue\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    await client.has(/^HTTP\/1.1 100 Continue\r\n\r\n/);
    client.write(body);
    expect(await client.closed()).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
    expect(await raw(server.port, `${HEAD}Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n`)).toMatch(/^HTTP\/1.1 413/);
    expect(await raw(server.port, `${HEAD}Expect: magic\r\nContent-Length: 3\r\n\r\n`)).toMatch(/^HTTP\/1.1 417/);
  });

  it('may speak HTTP/1.0, with and without keep-alive', async () => {
    const server = await start();
    expect(await raw(server.port, 'GET /v2/health/live HTTP/1.0\r\n\r\n')).toMatch(/Connection: close\r\n\r\n\{"live":true\}$/);
    const client = new RawClient(server.port).write('GET /v2/health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    await client.has(/Connection: keep-alive[\s\S]*live/);
    client.write('GET /v2/health/live HTTP/1.0\r\n\r\n');
    expect((await client.closed()).match(/"live"/g)).toHaveLength(2);
  });

  it('may ask for an upgrade and get an ordinary answer', async () => {
    const server = await start();
    const upgrade = 'GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n';
    expect(await raw(server.port, upgrade)).toMatch(/^HTTP\/1.1 200/);
    expect(await raw(server.port, 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 404/);
  });

  it('that shut their sending side while an answer is computed count as gone, as with Node', async () => {
    const server = await start({ env: { FAKE_INFER_MS: '200' } });
    const client = new RawClient(server.port).write(rawInfer());
    await until('it computes', async () => /queue_length\{[^}]*\} 1/.test(await (await fetch(`${server.url}/metrics`)).text()));
    client.socket.end();
    expect(await client.closed()).toBe('');
    expect(await isAlive(server)).toBe(true);
  });

  it('that break off anywhere leave nothing behind', async () => {
    const server = await start();
    const bytes = rawInfer();
    for (let length = 0; length <= bytes.length; length += 7) {
      const client = new RawClient(server.port).write(bytes.slice(0, length));
      await until('it is connected', () => client.socket.readyState === 'open' || client.isClosed);
      if (length % 2 === 0) client.socket.destroy();
      else client.socket.resetAndDestroy();
    }
    await until('the queue is empty', async () => /queue_length\{[^}]*\} 0/.test(await (await fetch(`${server.url}/metrics`)).text()));
    expect(await isAlive(server)).toBe(true);
  });
});
