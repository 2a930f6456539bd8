import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { ModelHttpServer } from '../model-server/model-http-server.ts';
import { isForCandidate } from './choose-arm.ts';
import { TrialProxy, type TrialProxyOptions } from './trial-proxy.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function version(answer: RequestListener): Promise<{ port: number; server: Server; seen: () => number }> {
  let seen = 0;
  const server = createServer((request, response) => {
    seen += 1;
    request.resume();
    request.on('end', () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, server, seen: () => seen };
}

const says =
  (label: string, score = 0.9): RequestListener =>
  (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ result: { top: { label, score } } }));
const fails: RequestListener = (_request, response) => response.writeHead(500).end();
const silent: RequestListener = () => undefined;

async function startProxy(previous: RequestListener, candidate: RequestListener, more: Partial<TrialProxyOptions> = {}) {
  const [before, after] = [await version(previous), await version(candidate)];
  const proxy = new TrialProxy({ mode: 'shadow', share: 0.5, seed: 't', port: after.port, previousPort: before.port, ...more });
  const server = new ModelHttpServer((request, response) => proxy.handle(request, response));
  const port = await server.listen(0, '127.0.0.1');
  closing.push(() => {
    server.close();
    proxy.close();
  });
  const ask = async (path = '/v1/infer') => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      body: 'picture',
      headers: { 'content-type': 'image/png' },
    });
    return { status: response.status, text: await response.text() };
  };
  return { proxy, before, after, ask };
}

describe('the trial proxy in shadow mode', () => {
  it('answers by the version of before and says on how many inputs both agree', async () => {
    let number = 0;
    const { proxy, ask } = await startProxy(says('a'), (request, response) => {
      number += 1;
      says(number % 4 === 0 ? 'b' : 'a', 0.5)(request, response);
    });
    for (let index = 1; index <= 8; index += 1) {
      expect((await ask()).text).toContain('"label":"a"');
      await waitUntil(() => proxy.counts().compared === index, { timeoutMs: 30_000, what: 'the comparison' });
    }
    const { compared, same, previous, candidate, skipped } = proxy.counts();
    expect({ compared, same, skipped }).toEqual({ compared: 8, same: 6, skipped: 0 });
    expect([previous.requests, candidate.requests]).toEqual([8, 8]);
    expect(previous.confidence?.[9]).toBe(8);
    expect(candidate.confidence?.[5]).toBe(8);
  });

  it.each<[string, RequestListener]>([
    ['fails', fails],
    ['is silent', silent],
  ])('answers as before when the version on trial %s', async (_, candidate) => {
    const { proxy, ask } = await startProxy(says('a'), candidate);
    for (let index = 0; index < 12; index += 1) expect(await ask()).toMatchObject({ status: 200 });
    const { previous, compared, skipped } = proxy.counts();
    expect(previous).toMatchObject({ requests: 12, errors: 0 });
    expect(compared).toBe(0);
    if (candidate === silent) expect(skipped, 'no more copies than four wait').toBe(8);
  });

  it('answers as before when the version on trial is gone', async () => {
    const { proxy, after, ask } = await startProxy(says('a'), says('a'));
    after.server.close();
    expect(await ask()).toMatchObject({ status: 200 });
    await waitUntil(() => proxy.counts().candidate.errors === 1, { timeoutMs: 30_000, what: 'the error to be counted' });
  });

  it('leaves requests for a version by name, and everything else, to the version of before', async () => {
    const { after, ask, before } = await startProxy(says('a'), says('a'));
    await ask('/v2/models/m/versions/1/infer');
    await ask('/v2/repository/index');
    expect([before.seen(), after.seen()]).toEqual([2, 0]);
  });
});

describe('the trial proxy in split mode', () => {
  it('gives the version on trial its share, the same requests each time', async () => {
    const chosen = (seed: string) => Array.from({ length: 10_000 }, (_, number) => isForCandidate(seed, number, 0.2));
    expect(chosen('t')).toEqual(chosen('t'));
    expect(chosen('t')).not.toEqual(chosen('u'));
    expect(chosen('t').filter(Boolean).length).toBeGreaterThan(1800);
    expect(chosen('t').filter(Boolean).length).toBeLessThan(2200);
    const { proxy, ask } = await startProxy(says('a'), says('b'), { mode: 'split' });
    const texts = await Promise.all(Array.from({ length: 40 }, () => ask()));
    const toCandidate = texts.filter(({ text }) => text.includes('"b"')).length;
    expect(proxy.counts()).toMatchObject({ candidate: { requests: toCandidate }, previous: { requests: 40 - toCandidate }, compared: 0 });
    expect(toCandidate).toBeGreaterThan(5);
    expect(toCandidate).toBeLessThan(35);
  });

  it('has the version of before answer what the other one fails, and counts that as an error of its arm', async () => {
    const { proxy, ask } = await startProxy(says('a'), fails, { mode: 'split', share: 1 });
    for (let index = 0; index < 5; index += 1) expect(await ask()).toMatchObject({ status: 200 });
    expect(proxy.counts()).toMatchObject({ candidate: { requests: 5, errors: 5 }, previous: { requests: 5, errors: 0 } });
  });
});
