import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { runProgram } from '@selvedge/toolchain';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { servePackage } from '../../packages/agent/src/model-server/serve-package.ts';
import { makePackage, writePackage } from '../../packages/agent/src/testing/make-package.ts';
import {
  buildFakeServer,
  type FakeServer,
  type FakeServerOptions,
  RawClient,
  rawInfer,
  ready,
  residentKb,
  startFakeServer,
  tensor,
  until,
  VALUES,
} from './harness/fake-server.ts';
import { modelServerConformance } from './harness/model-server-conformance.ts';

const INFER = '/v2/models/colours/infer';
const LOAD = '/v2/repository/models/colours/load';
const BODY = JSON.stringify(tensor(VALUES));
let program: string;
let running: FakeServer[] = [];

async function start(options: Omit<FakeServerOptions, 'program'> = {}): Promise<FakeServer> {
  const server = await startFakeServer({ program, ...options });
  running.push(server);
  return server;
}
const infer = (server: FakeServer) => fetch(server.url + INFER, { method: 'POST', body: BODY });
const scores = async (response: Response) => JSON.parse(await response.text()).outputs[0].data;

const greenJpeg = () =>
  sharp({ create: { width: 20, height: 10, channels: 3, background: '#10f020' } })
    .jpeg()
    .toBuffer();

beforeAll(async () => {
  program = await buildFakeServer();
}, 240_000);
afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  running = [];
});

modelServerConformance(
  'native',
  async () => {
    const server = await startFakeServer({ program: await buildFakeServer() });
    await ready(server.url);
    return { port: server.port, close: async () => void (await server.stop()) };
  },
  greenJpeg,
);

modelServerConformance(
  'TypeScript',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'selvedge-model-'));
    await writePackage(folder, makePackage());
    const served = await servePackage({ folder, port: 0, log: createLogger({ name: 'test', write: () => undefined }) });
    await served.ready;
    const close = async () => {
      served.server.close();
      await rm(folder, { recursive: true });
    };
    return { port: served.port, close };
  },
  greenJpeg,
);

describe('the native server', () => {
  it('says that it is starting while the model is loaded', async () => {
    const server = await start({ env: { FAKE_LOAD_MS: '400' } });
    const health = await fetch(`${server.url}/health`);
    expect([health.status, await health.json()]).toEqual([503, { status: 'starting', model: 'colours', version: '1' }]);
    expect((await fetch(`${server.url}/v2/models/colours`)).status).toBe(503);
    const early = await infer(server);
    expect([early.status, early.headers.get('retry-after')]).toEqual([503, '1']);
    await ready(server.url);
    expect((await infer(server)).status).toBe(200);
  });

  it('ends with a reason when the package cannot be served', async () => {
    const server = await start({ model: 'rubbish' });
    await until('its end', () => server.child.exitCode !== null);
    expect(server.child.exitCode).toBe(2);
    expect(server.log()).toMatch(/MODEL_INVALID/);
  });

  it('ends with the exit code of a conflict when its port is taken', async () => {
    const server = await start();
    const { exitCode, stderr } = await runProgram(program, ['--package', server.folder, '--port', String(server.port)]);
    expect(exitCode).toBe(EXIT.conflict);
    expect(stderr).toMatch(/PORT_IN_USE/);
  });

  it('gives tensors in the order of their shape whatever the memory order of the engine', async () => {
    const server = await start({ env: { FAKE_OUTPUTS: '2' } });
    await ready(server.url);
    const data = Array.from({ length: 48 }, (_, index) => index / 3);
    const answer = await (await fetch(server.url + INFER, { method: 'POST', body: JSON.stringify(tensor(data)) })).json();
    expect(answer).toMatchObject({ outputs: [{ name: 'scores' }, { name: 'copy', shape: [1, 3, 4, 4], data: data.map(Math.fround) }] });
  });

  it('answers 411 to a POST without a length, 405 with what is allowed to other methods', async () => {
    const server = await start();
    await ready(server.url);
    const client = new RawClient(server.port).write('POST /v1/infer HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await client.has(/\r\n\r\n\{.*\}/)).toMatch(/^HTTP\/1.1 411 [\s\S]*application\/problem\+json/);
    client.write('PATCH /health HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await client.has(/HTTP\/1.1 405/)).toMatch(/Allow: GET, HEAD/);
    client.write(`OPTIONS ${INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(await client.closed()).toMatch(/HTTP\/1.1 405 [\s\S]*HTTP\/1.1 405 [\s\S]*Allow: POST/);
  });

  it('answers requests on one connection in their order, however they arrive', async () => {
    const server = await start({ env: { FAKE_INFER_MS: '3' } });
    await ready(server.url);
    const client = new RawClient(server.port);
    const get = 'GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n';
    client.write(rawInfer() + get + rawInfer() + get + rawInfer('Connection: close\r\n') + get);
    const kinds = (await client.closed()).match(/"model_name"|"live"/g);
    expect(kinds).toEqual(['"model_name"', '"live"', '"model_name"', '"live"', '"model_name"']);

    const slow = new RawClient(server.port);
    for (const byte of rawInfer('Connection: close\r\n')) slow.write(byte);
    expect(await slow.closed()).toMatch(/^HTTP\/1.1 200/);
  });

  it('refuses with 429 at once when the queue is full, computes what it took, and goes on', async () => {
    const server = await start({ args: ['--queue', '4'], env: { FAKE_INFER_MS: '20' } });
    await ready(server.url);
    const answers = await Promise.all(Array.from({ length: 40 }, () => infer(server)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.every((status) => status === 200 || status === 429)).toBe(true);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(4);
    expect(answers.find(({ status }) => status === 429)?.headers.get('retry-after')).toBe('1');
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    const rejected = Number(/selvedge_model_rejected_total\{[^}]*\} (\d+)/.exec(metrics)?.[1]);
    expect(rejected).toBe(statuses.filter((status) => status === 429).length);
    expect((await infer(server)).status).toBe(200);
  });

  it('refuses without reading the body while the queue is full', async () => {
    const server = await start({ args: ['--queue', '1'], env: { FAKE_INFER_MS: '300' } });
    await ready(server.url);
    const first = infer(server);
    await until('the queue is full', async () => /queue_length\{[^}]*\} 1/.test(await (await fetch(`${server.url}/metrics`)).text()));
    const head = `POST ${INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n`;
    expect(await new RawClient(server.port).write(head).closed()).toMatch(/^HTTP\/1.1 429 [\s\S]*Retry-After: 1[\s\S]*Connection: close/);
    expect((await first).status).toBe(200);
  });

  it('does not compute what nobody waits for', async () => {
    const server = await start({ env: { FAKE_INFER_MS: '100' } });
    await ready(server.url);
    const stay = infer(server);
    const gone = Array.from({ length: 30 }, () => new RawClient(server.port).write(rawInfer()));
    await until('all wait', async () => /queue_length\{[^}]*\} (30|31)/.test(await (await fetch(`${server.url}/metrics`)).text()));
    for (const client of gone) client.socket.destroy();
    const free = async () => /queue_length\{[^}]*\} [012]\n/.test(await (await fetch(`${server.url}/metrics`)).text());
    await until('they are dropped from the queue', free);
    expect((await stay).status).toBe(200);
    expect(await (await fetch(`${server.url}/metrics`)).text()).toMatch(/requests_total\{[^}]*status="499"\} \d+/);
  });
});

describe('draining', () => {
  it('finishes under load without one failed request, then exits 0', async () => {
    const server = await start({ env: { FAKE_INFER_MS: '2' } });
    await ready(server.url);
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    let isEnding = false;
    const failures: string[] = [];
    let answered = 0;
    // A client may find the port closed once the server ends; what was sent on a connection must be answered.
    const ask = () =>
      new Promise<boolean>((resolve) => {
        const asked = request({ port: server.port, host: '127.0.0.1', path: INFER, method: 'POST', agent }, (response) => {
          response.resume();
          response.on('end', () => {
            answered += 1;
            if (response.statusCode !== 200) failures.push(String(response.statusCode));
            resolve(true);
          });
        });
        asked.on('error', (error: NodeJS.ErrnoException) => {
          if (!isEnding || error.code !== 'ECONNREFUSED') failures.push(`${error.code}`);
          resolve(false);
        });
        asked.end(BODY);
      });
    const clients = Array.from({ length: 8 }, async () => {
      while (await ask());
    });
    await until('some load', () => answered > 200);
    isEnding = true;
    expect(await server.stop()).toBe(0);
    await Promise.all(clients);
    expect(failures).toEqual([]);
    running = [];
  });

  it('closes a silent connection after a second and does not wait longer than it may', async () => {
    const silent = await start();
    await ready(silent.url);
    const client = new RawClient(silent.port).write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.has(/"ok"/);
    const began = Date.now();
    expect(await silent.stop()).toBe(0);
    expect(Date.now() - began).toBeGreaterThan(500);
    const stuck = await start({ args: ['--drain-ms', '200'], env: { FAKE_INFER_MS: '20000' } });
    await ready(stuck.url);
    new RawClient(stuck.port).write(rawInfer());
    await until('it computes', async () => /queue_length\{[^}]*\} 1/.test(await (await fetch(`${stuck.url}/metrics`)).text()));
    expect(await stuck.stop()).toBe(0);
    running = [];
  });
});

describe('changing the model file', () => {
  const load = (server: FakeServer, body?: unknown) =>
    fetch(server.url + LOAD, { method: 'POST', ...(body === undefined ? {} : { body: JSON.stringify(body) }) });

  it('is refused unless it was allowed', async () => {
    const server = await start();
    await ready(server.url);
    expect((await load(server)).status).toBe(403);
  });

  it('takes the same path or another file of the package folder, and nothing else', async () => {
    const server = await start({ args: ['--allow-reload'] });
    await ready(server.url);
    await writeFile(join(server.folder, 'model.txt'), '2');
    expect((await load(server)).status).toBe(200);
    expect(await scores(await infer(server))).toEqual([1, 0.5, 0.5]);
    await writeFile(join(server.folder, 'other.txt'), '4');
    expect((await load(server, { parameters: { model_file: 'other.txt' } })).status).toBe(200);
    expect(await scores(await infer(server))).toEqual([2, 1, 1]);
    for (const model_file of ['/etc/passwd', '../../etc/passwd', '../..', '.', 'missing.txt', '', 5, 'a\0b']) {
      const answer = await load(server, { parameters: { model_file } });
      expect(answer.status, String(model_file)).toBe(400);
    }
  });

  it('leaves the old model serving when the new file is bad', async () => {
    const server = await start({ args: ['--allow-reload'] });
    await ready(server.url);
    for (const [content, reason] of [
      ['rubbish', /not a model/],
      ['-1', /self-test/],
    ] as const) {
      await writeFile(join(server.folder, 'model.txt'), content);
      const answer = await load(server);
      expect(answer.status).toBe(422);
      expect(await answer.text()).toMatch(reason);
      expect(await scores(await infer(server))).toEqual([0.5, 0.25, 0.25]);
    }
    expect(await (await fetch(`${server.url}/metrics`)).text()).toMatch(/reloads_total\{[^}]*outcome="failed"\} 2/);
    await writeFile(join(server.folder, 'model.txt'), '2');
    server.child.kill('SIGHUP');
    await until('the new model answers', async () => (await scores(await infer(server)))[0] === 1);
  });

  it('changes a thousand times under load without a failed request and without growing', async () => {
    const server = await start({ args: ['--allow-reload'] });
    await ready(server.url);
    let isDone = false;
    const statuses = new Map<number, number>();
    const clients = Array.from({ length: 2 }, async () => {
      while (!isDone) {
        const { status } = await infer(server);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    const change = async (count: number) => {
      for (let index = 0; index < count; index += 1) {
        const answer = await load(server);
        expect(answer.status).toBe(200);
        await answer.text();
      }
    };
    await change(100);
    const before = await residentKb(server);
    await change(900);
    const after = await residentKb(server);
    isDone = true;
    await Promise.all(clients);
    expect([...statuses.keys()]).toEqual([200]);
    // One model of the fake has 4 MiB: a leak of a hundredth of them would show.
    expect(after - before).toBeLessThan(16 * 1024);
  }, 120_000);
});

afterAll(() => Promise.all(running.map((server) => server.stop())));
