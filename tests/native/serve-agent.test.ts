import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createLogger } from '@selvedge/runtime';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ChildModelProcess, DEFAULT_LIVENESS } from '../../packages/agent/src/adapters/process/child-model-process.ts';
import { HandingServingPort } from '../../packages/agent/src/adapters/process/handing-serving-port.ts';
import type { ModelProcess } from '../../packages/agent/src/ports/model-process.ts';
import { buildFakeServer, makeFakePackage, RawClient, rawInfer, tensor, until, VALUES } from './harness/fake-server.ts';

const INFER = '/v2/models/colours/infer';
const log = createLogger({ name: 'test', write: () => undefined });
const never = new AbortController().signal;
let program: string;
let folder: string;
const ends: (() => Promise<unknown>)[] = [];

/** As the agent's ChildModelHost starts it. */
async function startByAgent(what = folder): Promise<ModelProcess> {
  const env = { ...process.env, SELVEDGE_EXIT_WITH_PARENT: '1' };
  const child = spawn(program, ['--package', what], { env, stdio: ['pipe', 'ignore', 'ignore', 'ipc'] });
  const started = new ChildModelProcess(child, 'w', { ...DEFAULT_LIVENESS, pingEveryMs: 50 }, log);
  ends.push(() => started.stop(5000));
  await started.listening(never);
  return started;
}

/** A port whose connections are handed on, as the agent's serving port does. */
async function listenAndHand(to: (socket: Socket) => void): Promise<{ url: string; port: number; server: Server }> {
  const server = createServer({ pauseOnConnect: true }, to);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(async () => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, port, server };
}

const infer = async (url: string) => (await fetch(url + INFER, { method: 'POST', body: JSON.stringify(tensor(VALUES)) })).json();

beforeAll(async () => {
  program = await buildFakeServer();
  folder = await makeFakePackage();
}, 240_000);
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

describe('under a Node agent', () => {
  it('is watched, probed and asked like the Node model server', async () => {
    const model = await startByAgent();
    await model.probe(never);
    const jpeg = Uint8Array.of(0xff, 0xd8, 1, 2, 3, 0xff, 0xd9);
    expect(await model.infer('image/jpeg', jpeg)).toMatchObject({ model: 'colours', version: '1' });
    await expect(model.infer('image/jpeg', Uint8Array.of(1))).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE' });
    await expect(model.infer('text/html', Uint8Array.of(1))).rejects.toMatchObject({ code: 'UNSUPPORTED_MEDIA' });
  });

  it('answers pings for as long as it lives', async () => {
    const child = spawn(program, ['--package', folder], { stdio: ['pipe', 'ignore', 'ignore', 'ipc'] });
    ends.push(async () => child.kill('SIGKILL'));
    const messages: { type?: string; oldestRequestMs?: number }[] = [];
    child.on('message', (message) => messages.push(message as (typeof messages)[number]));
    await until('ready', () => messages.some(({ type }) => type === 'ready'));
    for (let count = 0; count < 100; count += 1) child.send({ type: 'ping' });
    await until('a hundred pongs', () => messages.filter(({ type }) => type === 'pong').length === 100);
    expect(messages.slice(0, 3)).toEqual([
      { type: 'listening', port: expect.any(Number) },
      { type: 'ready' },
      { type: 'pong', oldestRequestMs: 0 },
    ]);
  });

  it('tells how long a request has waited for the model, not how long its client took', async () => {
    const env = { ...process.env, FAKE_INFER_MS: '20000' };
    const child = spawn(program, ['--package', folder], { env, stdio: ['pipe', 'ignore', 'ignore', 'ipc'] });
    ends.push(async () => child.kill('SIGKILL'));
    let port = 0;
    let oldest = -1;
    let isReady = false;
    child.on('message', (message: { type: string; port?: number; oldestRequestMs?: number }) => {
      port = message.port ?? port;
      oldest = message.oldestRequestMs ?? oldest;
      isReady ||= message.type === 'ready';
    });
    await until('ready', () => isReady);
    const asked = async (isEnough: () => boolean) => {
      child.send({ type: 'ping' });
      await until('a pong', () => oldest >= 0);
      return isEnough();
    };
    const slow = new RawClient(port).write(`POST ${INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{`);
    await until('it is connected', () => slow.socket.readyState === 'open');
    expect(await asked(() => oldest === 0)).toBe(true);
    new RawClient(port).write(rawInfer());
    await until('it waits', () => asked(() => oldest > 100));
    slow.socket.destroy();
  });

  it('serves sockets that the agent accepted, many at a time', async () => {
    const model = await startByAgent();
    await model.probe(never);
    const { url, port } = await listenAndHand((socket) => model.hand(socket, false));
    const answers = await Promise.all(Array.from({ length: 30 }, () => infer(url)));
    for (const answer of answers) expect(answer).toMatchObject({ outputs: [{ data: [0.5, 0.25, 0.25] }] });
    const client = new RawClient(port).write(rawInfer()).write(rawInfer('Connection: close\r\n'));
    expect((await client.closed()).match(/HTTP\/1.1 200/g)).toHaveLength(2);
  });

  it('changes over to its successor without a failed request or a new connection', async () => {
    const [first, second] = await Promise.all([startByAgent(), startByAgent()]);
    await Promise.all([first.probe(never), second.probe(never)]);
    const serving = new HandingServingPort(log);
    const port = await serving.open(0);
    ends.push(() => serving.close());
    serving.route(first);
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const connections = new Set<unknown>();
    let isDone = false;
    let answered = 0;
    const ask = () =>
      new Promise<number | undefined>((resolve, reject) => {
        const asked = request({ port, host: '127.0.0.1', path: INFER, method: 'POST', agent }, (response) => {
          connections.add(response.socket.localPort);
          response.resume().on('end', () => resolve(response.statusCode));
        });
        asked.on('error', reject).end(JSON.stringify(tensor(VALUES)));
      });
    const clients = Array.from({ length: 4 }, async () => {
      while (!isDone) {
        expect(await ask()).toBe(200);
        answered += 1;
      }
    });
    await until('some load', () => answered > 100);
    serving.route(second);
    await first.drain(10_000);
    await first.stop(5000);
    expect(await first.exited).toEqual({ code: 0, signal: null, reason: null });
    const before = answered;
    await until('the second answers', () => answered > before + 50);
    isDone = true;
    await Promise.all(clients);
    agent.destroy();
    expect(connections.size).toBe(4);
  });

  it('takes the traffic back after a drain, and keeps connections again', async () => {
    const model = await startByAgent();
    await model.probe(never);
    const { port } = await listenAndHand((socket) => model.hand(socket, false));
    const back: Socket[] = [];
    model.onGivenBack((socket) => back.push(socket));
    model.release();
    const given = new RawClient(port).write(rawInfer());
    await until('its connection comes back', () => back.length === 1);
    expect(await given.has(/200 OK/)).toMatch(/Connection: keep-alive/);
    model.resume();
    for (const socket of back.splice(0)) model.hand(socket, true);
    given.write(rawInfer());
    await given.has(/200 OK[\s\S]*200 OK/);
    const kept = new RawClient(port).write(rawInfer());
    await kept.has(/Connection: keep-alive/);
    kept.write(rawInfer());
    await kept.has(/200 OK[\s\S]*200 OK/);
    // A drain that is called off has an end, and the next one is one again.
    const drained = model.drain(60_000);
    model.resume();
    await model.drain(60_000);
    await drained;
    await until('both come back', () => back.length === 2);
    expect([given.isClosed, kept.isClosed]).toEqual([false, false]);
    for (const socket of back) socket.destroy();
  });

  it('says why it cannot serve a package', async () => {
    const bad = await makeFakePackage('rubbish');
    const failed = startByAgent(bad).then((model) => model.probe(never));
    await expect(failed).rejects.toMatchObject({ code: 'MODEL_INVALID', message: expect.stringMatching(/not a model/) });
    await rm(bad, { recursive: true });
  });

  it('ends when the channel or its stdin closes, whatever it is doing', async () => {
    const exited = async (child: ChildProcess) => (await once(child, 'exit'))[0];
    await writeFile(join(folder, 'model.txt'), '1');
    const byChannel = spawn(program, ['--package', folder], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    await once(byChannel, 'message');
    byChannel.disconnect();
    expect(await exited(byChannel)).toBe(0);
    const env = { ...process.env, SELVEDGE_EXIT_WITH_PARENT: '1', FAKE_LOAD_MS: '20000' };
    const byInput = spawn(program, ['--package', folder], { stdio: ['pipe', 'pipe', 'ignore'], env });
    if (byInput.stdout === null || byInput.stdin === null) throw new Error('no pipes');
    await once(byInput.stdout, 'data');
    byInput.stdin.end();
    expect(await exited(byInput)).toBe(0);
  });
});
