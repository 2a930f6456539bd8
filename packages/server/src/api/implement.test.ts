import { Readable } from 'node:stream';
import { ROUTES } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { handleErrors, validatorCompiler } from './errors.ts';
import { type Handler, implementRoute } from './implement.ts';

/** A promise to wait for, and what fulfils it. */
function signalled(): { came: Promise<void>; give: () => void } {
  let give = () => {};
  const came = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { came, give };
}

describe('a route that streams', () => {
  let app: FastifyInstance;
  let logged: string[];
  beforeEach(() => {
    logged = [];
    app = fastify({ logger: false, forceCloseConnections: true });
    app.setValidatorCompiler(validatorCompiler);
    app.setSerializerCompiler(() => (data) => JSON.stringify(data));
    handleErrors(app, createLogger({ name: 'test', level: 'debug', write: (line) => logged.push(line) }));
  });
  afterEach(() => app.close());

  async function listen(handle: Handler<typeof ROUTES.getDeviceLogs>): Promise<string> {
    implementRoute(app, 'getDeviceLogs', ROUTES.getDeviceLogs, handle);
    const address = await app.listen({ host: '127.0.0.1', port: 0 });
    return `${address}/api/v1/devices/cam-1/logs`;
  }

  it('sends what it is given, to the end', async () => {
    const url = await listen(async ({ reply }) => reply.type('application/x-ndjson').send(Readable.from(['1\n', '2\n'])));
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(await response.text()).toBe('1\n2\n');
    expect(logged).toEqual([]);
  });

  it('ends without a word when the client goes away in the middle', async () => {
    const ended = signalled();
    const url = await listen(async ({ reply, signal }) => {
      async function* lines() {
        yield 'first\n';
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      }
      signal.addEventListener('abort', () => setTimeout(ended.give, 50)); // after the framework has dealt with it
      return reply.type('application/x-ndjson').send(Readable.from(lines()));
    });
    const client = new AbortController();
    const response = await fetch(url, { signal: client.signal });
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('first\n');
    client.abort();
    await ended.came;
    expect(logged).toEqual([]);
  });

  it('ends without a word when the client goes away before it has begun', async () => {
    const asked = signalled();
    const ended = signalled();
    const url = await listen(async ({ reply, signal }) => {
      asked.give();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      setTimeout(ended.give, 50);
      return reply.type('application/x-ndjson').send(Readable.from(['late\n']));
    });
    const client = new AbortController();
    const answer = fetch(url, { signal: client.signal });
    await asked.came;
    client.abort();
    await expect(answer).rejects.toThrow();
    await ended.came;
    expect(logged).toEqual([]);
  });
});
