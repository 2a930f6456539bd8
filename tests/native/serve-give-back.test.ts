import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildFakeServer, makeFakePackage, RawClient, rawInfer, tensor, until, VALUES } from './harness/fake-server.ts';
import { type HandingPort, listenAndHand, RawAgent } from './harness/raw-agent.ts';

/** What the two versions answer: the second has a gain of 2. */
const FIRST = /"data":\[0\.5,0\.25,0\.25\]/;
const SECOND = /"data":\[1,0\.5,0\.5\]/;
const KEPT = 'Connection: keep-alive';

let program: string;
const folders: string[] = [];
let port: HandingPort;
const started: RawAgent[] = [];

beforeAll(async () => {
  program = await buildFakeServer();
  folders.push(await makeFakePackage('1'), await makeFakePackage('2'));
  port = await listenAndHand();
}, 240_000);
afterEach(async () => {
  port.to = () => undefined;
  const codes = await Promise.all(started.splice(0).map((each) => each.stop()));
  expect(codes.filter((code) => code !== 0)).toEqual([]);
});
afterAll(async () => {
  port.close();
  for (const folder of folders) await rm(folder, { recursive: true });
});

/** @param version - 1 or 2. */
async function start(version: number, { args = [] as string[], env = {} as Record<string, string> } = {}): Promise<RawAgent> {
  const agent = new RawAgent(program, ['--package', folders[version - 1] ?? '', ...args], env);
  started.push(agent);
  await agent.ready();
  return agent;
}

/** A client that has connected and had one answer of the process. */
async function askedOnce(of: RawAgent): Promise<RawClient> {
  const { client, socket } = await port.connect();
  of.hand(socket);
  client.write(rawInfer());
  await client.has(/\]\}\]\}$/);
  return client;
}

/** @returns the answers so far, each with its head. */
const answers = (client: RawClient) => client.text.split(/(?=HTTP\/1\.1)/);

describe('a drain that gives connections back', () => {
  it('lets the next process answer on a connection that was silent, with the bytes that came on the way', async () => {
    const [first, second] = await Promise.all([start(1), start(2)]);
    const client = await askedOnce(first);
    first.tell({ type: 'drain', giveBack: true });
    await until('it comes back', () => first.back.length === 1);
    // Two requests and the begin of a third wait in the kernel while nobody has the connection.
    const third = rawInfer();
    client.write(rawInfer() + rawInfer() + third.slice(0, 30));
    const [socket] = first.back;
    await until('the bytes are sent', () => client.socket.writableLength === 0);
    if (socket !== undefined) second.hand(socket, { kept: true });
    client.write(third.slice(30));
    await until('all answers', () => answers(client).length === 4 && client.text.endsWith('}]}'));
    expect(answers(client)[0]).toMatch(FIRST);
    for (const answer of answers(client).slice(1)) expect(answer).toMatch(SECOND);
    expect(client.text.split(KEPT)).toHaveLength(5);
    expect(first.said).toEqual(['listening', 'ready', 'connection', 'drained']);
    expect(await first.stop()).toBe(0);
    client.write(rawInfer());
    await until('a fifth', () => answers(client).length === 5);
    expect(client.isClosed).toBe(false);
  });

  it('answers a request that is under way, then gives its connection back', async () => {
    const first = await start(1, { env: { FAKE_INFER_MS: '300' } });
    const second = await start(2);
    const { client, socket } = await port.connect();
    first.hand(socket);
    client.write(rawInfer());
    await first.isComputing();
    first.tell({ type: 'drain', giveBack: true });
    await until('it comes back', () => first.back.length === 1);
    expect(await client.has(FIRST)).toContain(KEPT);
    await until('it is drained', () => first.said.includes('drained'));
    expect(first.said.indexOf('drained')).toBeGreaterThan(first.said.indexOf('connection'));
    for (const back of first.back) second.hand(back, { kept: true });
    client.write(rawInfer());
    await client.has(SECOND);
  });

  it('serves what it has read, whole requests and begun ones, before it gives the connection back', async () => {
    const first = await start(1, { env: { FAKE_INFER_MS: '100' } });
    const { client, socket } = await port.connect();
    first.hand(socket);
    const third = rawInfer();
    client.write(rawInfer() + rawInfer() + third.slice(0, 50));
    await first.isComputing();
    first.tell({ type: 'drain', giveBack: true });
    await until('two answers', () => answers(client).length === 2);
    expect(first.said).not.toContain('connection');
    client.write(third.slice(50));
    await until('it comes back', () => first.back.length === 1);
    await until('three answers', () => answers(client).length === 3 && client.text.endsWith('}]}'));
    expect(client.text.split(KEPT)).toHaveLength(4);
    for (const back of first.back) back.destroy();
    await client.closed();
  });

  it('hands over hundreds, in order with what is said, while as many come', async () => {
    const count = 200;
    const [first, second] = await Promise.all([start(1), start(2)]);
    const clients: RawClient[] = [];
    for (let index = 0; index < count; index += 1) {
      const { client, socket } = await port.connect();
      first.hand(socket);
      clients.push(client);
    }
    // Half of them have had an answer, half are as they were accepted.
    for (const client of clients.slice(0, count / 2)) await client.write(rawInfer()).has(FIRST);
    first.tell({ type: 'drain', giveBack: true });
    first.tell({ type: 'ping' });
    for (let index = 0; index < count; index += 1) {
      const { client, socket } = await port.connect();
      first.hand(socket);
      clients.push(client);
    }
    await until('they come back', () => first.back.length === 2 * count);
    await until('it has said the rest', () => first.said.includes('drained') && first.said.includes('pong'));
    const heard = first.said.slice(first.said.indexOf('connection'));
    expect(heard.slice(0, count).every((type) => type === 'connection')).toBe(true);
    expect((await readdir(`/proc/${first.child.pid}/fd`)).length).toBeLessThan(20);
    for (const back of first.back) second.hand(back, { kept: true });
    for (const client of clients) await client.write(rawInfer()).has(SECOND);
  });

  it('hands over what it has begun to before it ends at SIGTERM', async () => {
    const count = 100;
    const first = await start(1);
    for (let index = 0; index < count; index += 1) first.hand((await port.connect()).socket);
    first.tell({ type: 'drain', giveBack: true });
    await once(first.child, 'message');
    expect(await first.stop()).toBe(0);
    await until('all come back', () => first.back.length === count);
    for (const back of first.back) back.destroy();
  });

  it('closes connections of its own port as before, which were made to ask this process', async () => {
    const first = await start(1);
    const own = new RawClient(first.port).write(rawInfer());
    await own.has(FIRST);
    first.tell({ type: 'drain', giveBack: true });
    own.write(rawInfer());
    expect((await own.closed()).match(/Connection: [\w-]+/g)).toEqual([KEPT, 'Connection: close']);
    const silent = new RawClient(first.port);
    await silent.closed();
    await until('it is drained', () => first.said.includes('drained'));
    expect(first.back).toEqual([]);
  });

  it('has an end: connections are kept again', async () => {
    const first = await start(1);
    first.tell({ type: 'drain', giveBack: true });
    first.tell({ type: 'resume' });
    const client = await askedOnce(first);
    client.write(rawInfer());
    await until('two answers', () => answers(client).length === 2);
    expect(first.said).toEqual(['listening', 'ready', 'drained']);
    // Without `giveBack`, as agents of before say it, clients are sent away.
    first.tell({ type: 'drain' });
    client.write(rawInfer());
    expect(await client.closed()).toMatch(/Connection: close/);
    expect(first.back).toEqual([]);
  });

  it('lets a connection that had answers elsewhere be silent for as long as between two requests', async () => {
    const [first, second] = await Promise.all([start(1), start(2, { args: ['--header-timeout-ms', '300'] })]);
    const kept = await askedOnce(first);
    first.tell({ type: 'drain', giveBack: true });
    await until('it comes back', () => first.back.length === 1);
    for (const back of first.back) second.hand(back, { kept: true });
    const { client: newcomer, socket } = await port.connect();
    second.hand(socket);
    await newcomer.closed();
    kept.write(rawInfer());
    await kept.has(SECOND);
  });

  it('is not noticed by clients that keep their connections, however often versions change', async () => {
    const versions = await Promise.all([start(1), start(2)]);
    let current = 0;
    port.to = (socket) => versions[current]?.hand(socket);
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const body = JSON.stringify(tensor(VALUES));
    const options = { port: port.port, host: '127.0.0.1', path: '/v2/models/colours/infer', method: 'POST', agent };
    const connections = new Set<number | undefined>();
    const failures: unknown[] = [];
    let answered = 0;
    const ask = () =>
      new Promise<void>((resolve) => {
        const asked = request(options, (response) => {
          connections.add(response.socket.localPort);
          if (response.statusCode !== 200) failures.push(response.statusCode);
          answered += 1;
          response.resume().on('end', resolve);
        });
        asked.on('error', (error) => {
          failures.push(error.message);
          resolve();
        });
        asked.end(body);
      });
    let isDone = false;
    // Some ask again at once, some are silent for a moment, so that a drain finds connections in every state.
    const clients = Array.from({ length: 8 }, async (_, index) => {
      while (!isDone) await ask().then(() => setTimeout(index % 4));
    });
    for (let swap = 0; swap < 20; swap += 1) {
      const before = answered;
      await until('some load', () => answered > before + 40);
      const [old, next] = [versions[current], versions[1 - current]];
      current = 1 - current;
      next?.tell({ type: 'resume' });
      const drains = old?.count('drained') ?? 0;
      old?.tell({ type: 'drain', giveBack: true });
      await until('it is drained', () => {
        for (const back of old?.back.splice(0) ?? []) next?.hand(back, { kept: true });
        return (old?.count('drained') ?? 0) > drains;
      });
      for (const back of old?.back.splice(0) ?? []) next?.hand(back, { kept: true });
    }
    isDone = true;
    await Promise.all(clients);
    agent.destroy();
    expect(failures).toEqual([]);
    expect(connections.size).toBe(8);
  });
});
