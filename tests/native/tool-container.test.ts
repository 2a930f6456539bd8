// A project's tool as a container: built from its Dockerfile and run by a real engine, behind a real server.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { artifactStatusSchema, type Module } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Product, ROOT } from '../e2e/harness/product.ts';
import { makePythonImage } from './harness/base-images.ts';
import { DockerEngine } from './harness/docker-engine.ts';

let engine: DockerEngine;
let product: Product;
beforeAll(async () => {
  engine = await DockerEngine.start();
  await makePythonImage(engine, 'python:3.12-slim');
  // server and tools find the engine as a user's do: by their environment
  Object.assign(process.env, { DOCKER_HOST: engine.env.DOCKER_HOST, DOCKER_BUILDKIT: '0' });
  const first = await Product.create();
  const project = join(first.dir, 'selvedge.yaml');
  await promisify(execFile)(process.execPath, [join(ROOT, 'packages/cli/bin/selvedge.mjs'), 'tool', 'new', 'count'], { cwd: first.dir });
  await writeFile(project, (await readFile(project, 'utf8')).replace('path:', 'dockerfile:'));
  product = await Product.create({ dir: first.dir, serverArgs: ['--project', project] });
  await product.startServer();
});
afterAll(async () => {
  await product?.stop();
  await engine?.stop();
});

async function countTool(): Promise<Module> {
  const { items } = await (await product.api()).listModules({});
  const found = items.find(({ name }) => name === 'count');
  if (found === undefined) throw new Error('the server does not list the tool');
  return found;
}

/** @param restarts - how often it was started again, at least. */
const untilHealthy = (restarts = 0) =>
  waitUntil(
    async () => {
      const tool = await countTool();
      return tool.state === 'healthy' && tool.restarts >= restarts ? tool : undefined;
    },
    { timeoutMs: 120_000, intervalMs: 200, what: 'the tool in the container' },
  );
const containers = async () => (await engine.docker('ps', '-q', '--filter', 'name=-count')).split('\n').filter((id) => id !== '');

it('is built, started, and keeps the tool API behind the gateway', async () => {
  await untilHealthy();
  const { code, stdout } = await product.cli(['tool', 'verify', `${product.url}/containers/count`]);
  expect(stdout).toMatch(/count: \d+ ok, 0 failed/);
  expect(code).toBe(0);
});

it('has no rights, and its token is in no argument', async () => {
  const [id = ''] = await containers();
  const [{ HostConfig, Args, Mounts, Config }] = JSON.parse(await engine.docker('inspect', id));
  expect(HostConfig).toMatchObject({ CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'], Privileged: false });
  expect(Mounts).toMatchObject([{ Type: 'bind', Destination: '/data', Source: join(product.dataDir, 'tools/count') }]);
  const token = Config.Env.find((entry: string) => entry.startsWith('SELVEDGE_TOOL_TOKEN='))?.split('=')[1];
  expect(token).toMatch(/.{16}/);
  expect(Args.join(' ')).not.toContain(token);
});

it('is started again when it was killed, with its artifacts', async () => {
  const form = new FormData();
  form.set('request', JSON.stringify({ name: 'kept', parameters: {} }));
  form.set('text', new File(['a b a'], 'a.txt'));
  const token = (await readFile(join(product.dataDir, 'admin-token'), 'utf8')).trim();
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${product.url}/containers/count${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
  expect((await call('/artifacts', { method: 'POST', body: form })).status).toBe(202);
  const isDone = async () => artifactStatusSchema.parse(await (await call('/artifacts/kept/status')).json()).status === 'completed';
  await waitUntil(isDone, { timeoutMs: 60_000, what: 'the artifact' });

  const [before = ''] = await containers();
  const { restarts } = await countTool();
  const pid = Number(await engine.docker('inspect', '-f', '{{.State.Pid}}', before));
  process.kill(pid, 'SIGKILL');
  await untilHealthy(restarts + 1);
  const after = await containers();
  expect(after).toHaveLength(1);
  expect(after).not.toContain(before);
  expect(await (await call('/artifacts/kept/data')).text()).toContain('a,2');
});

it('replaces a container that a killed docker client left behind', async () => {
  const [before = ''] = await containers();
  const { pid, restarts } = await countTool();
  process.kill(pid ?? 0, 'SIGKILL');
  await untilHealthy(restarts + 1);
  const after = await containers();
  expect(after).toHaveLength(1);
  expect(after).not.toContain(before);
});

it('ends with the server, also with one that was killed', async () => {
  await product.server.kill('SIGTERM');
  expect(await containers()).toEqual([]);
  await product.startServer();
  await untilHealthy();
  await product.server.kill('SIGKILL');
  await waitUntil(async () => (await containers()).length === 0, { timeoutMs: 60_000, what: 'the container to end' });
});
