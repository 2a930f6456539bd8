import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addWebUi } from './web-ui.ts';

describe('the web UI', () => {
  let folder: string;
  let app: FastifyInstance;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'selvedge-web-'));
    await mkdir(join(folder, 'assets'));
    await writeFile(join(folder, 'index.html'), '<!doctype html>page');
    await writeFile(join(folder, 'assets/index-abc.js'), 'code');
    app = fastify();
    await addWebUi(app, folder);
  });
  afterEach(async () => {
    await app.close();
    await rm(folder, { recursive: true, force: true });
  });
  const get = (url: string, accept = 'text/html') => app.inject({ url, headers: { accept } });

  it('is checked anew each time, its assets never', async () => {
    const page = await get('/');
    expect([page.body, page.headers['cache-control']]).toEqual(['<!doctype html>page', 'no-cache']);
    const asset = await get('/assets/index-abc.js');
    expect([asset.body, asset.headers['cache-control']]).toEqual(['code', 'public, max-age=31536000, immutable']);
  });

  it('answers every page address with the page, and nothing else', async () => {
    expect((await get('/runs/digits-1')).body).toBe('<!doctype html>page');
    for (const url of ['/assets/gone.js', '/api/v1/nothing', '/containers/x', '/..%2fsecret.txt'])
      expect((await get(url)).statusCode, url).toBe(404);
    expect((await get('/runs/digits-1', 'application/json')).statusCode).toBe(404);
  });

  it('says how to get it when it is not built', async () => {
    const bare = fastify();
    await addWebUi(bare, null);
    const response = await bare.inject({ url: '/', headers: { accept: 'text/html' } });
    expect([response.statusCode, response.json().hint]).toEqual([404, expect.stringContaining('npm run build')]);
    await bare.close();
  });
});
