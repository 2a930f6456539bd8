import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createLogger, freePort, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HttpToolClient } from '../adapters/tool-http/http-tool-client.ts';
import { EventHub } from './event-hub.ts';
import { ModuleSupervisor } from './module-supervisor.ts';
import { ToolDirectory } from './tool-directory.ts';

const FIXTURE = fileURLToPath(new URL('../testing/fixture-tool.mjs', import.meta.url));
const TOKEN = 'a-token-of-the-tools';

let folder: string;
let modules: ModuleSupervisor;
let tools: HttpToolClient;
const states: string[] = [];
let children: ChildProcess[];

async function startTool(): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [FIXTURE, 'train', '--data', folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, SELVEDGE_TOOL_TOKEN: TOKEN, SELVEDGE_TRUSTED_ORIGINS: 'http://127.0.0.1:1' },
  });
  children.push(child);
  const [line] = await once(createInterface({ input: child.stdout ?? process.stdin }), 'line');
  return { child, url: `http://127.0.0.1:${JSON.parse(String(line)).port}` };
}

async function supervise(url: string): Promise<void> {
  const directory = new ToolDirectory();
  const hub = new EventHub();
  states.length = 0;
  hub.subscribe((event) => event.type === 'module' && event.module.name === 'train' && states.push(event.module.state));
  tools = new HttpToolClient({ addressOf: directory.addressOf, token: TOKEN });
  modules = new ModuleSupervisor({
    ...{ toolCommand: [process.execPath, FIXTURE], toolsDir: folder, targetsDir: folder, token: TOKEN, directory, tools, hub },
    log: createLogger({ name: 'test', write: () => undefined }),
    clock: () => new Date(),
    names: ['split', 'train'],
    remoteTools: [{ name: 'train', url }],
  });
  await modules.start('http://127.0.0.1:1');
}
const train = () => modules.list().find(({ name }) => name === 'train');
const until = (state: string) => waitUntil(() => train()?.state === state, { timeoutMs: 20_000, what: state });

beforeEach(async () => {
  children = [];
  folder = await mkdtemp(join(tmpdir(), 'selvedge-remote-'));
});
afterEach(async () => {
  await modules.stop();
  tools.close();
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

it('uses a tool that others run in place of its own, and says when it does not answer', async () => {
  const { child, url } = await startTool();
  await supervise(url);
  expect(modules.list().map(({ name }) => name)).toEqual(['split', 'train']);
  await until('healthy');
  expect(train()).toMatchObject({ pid: null, restarts: 0, version: '1.0.0' });
  expect(modules.codeDigestOf('train')).toBe('digest-of-train');
  expect(modules.whyDown('train')).toBeUndefined();
  expect(await tools.listArtifacts('train')).toEqual([]);

  child.kill('SIGKILL');
  await until('unhealthy');
  expect(modules.whyDown('train')).toBe(`The train tool does not answer at ${url}.`);
  await expect(tools.listArtifacts('train')).rejects.toMatchObject({ code: 'TOOL_UNAVAILABLE' });
  await modules.stop();
  expect(states).toEqual(['starting', 'healthy', 'unhealthy', 'stopped']);
});

it('has a tool that is not up yet', async () => {
  await supervise(`http://127.0.0.1:${await freePort()}`);
  await until('unhealthy');
  expect(modules.has('train')).toBe(true);
  expect(() => modules.codeDigestOf('train')).toThrow(/not described itself/);
});
