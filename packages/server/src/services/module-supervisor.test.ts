import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Module } from '@selvedge/contract';
import { createLogger, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpToolClient } from '../adapters/tool-http/http-tool-client.ts';
import { EventHub } from './event-hub.ts';
import { ModuleSupervisor } from './module-supervisor.ts';
import { ToolDirectory } from './tool-directory.ts';

const FIXTURE = fileURLToPath(new URL('../testing/fixture-tool.mjs', import.meta.url));

describe('ModuleSupervisor', () => {
  let folder: string;
  let modules: ModuleSupervisor;
  let tools: HttpToolClient;
  let states: string[];

  async function start(command: readonly string[]): Promise<void> {
    const directory = new ToolDirectory();
    const hub = new EventHub();
    states = [];
    hub.subscribe((event) => event.type === 'module' && states.push(event.module.state));
    tools = new HttpToolClient({ addressOf: directory.addressOf, token: 'a-token-of-the-tools' });
    modules = new ModuleSupervisor({
      toolCommand: command,
      toolsDir: folder,
      targetsDir: folder,
      token: 'a-token-of-the-tools',
      directory,
      tools,
      hub,
      log: createLogger({ name: 'test', write: () => undefined }),
      clock: () => new Date(),
      names: ['split'],
    });
    await modules.start('http://127.0.0.1:1');
  }
  const one = (): Module => modules.list()[0]!;
  const until = (test: () => boolean, what: string) => waitUntil(test, { timeoutMs: 15_000, what });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'selvedge-modules-'));
  });
  afterEach(async () => {
    await modules.stop();
    tools.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('brings a tool up and says how it is', async () => {
    await start([process.execPath, FIXTURE]);
    expect(modules.whyDown('split')).toMatch(/starting/);
    await expect(tools.listArtifacts('split')).rejects.toMatchObject({ code: 'TOOL_UNAVAILABLE' });
    await until(() => one().state === 'healthy', 'healthy');
    expect(one()).toMatchObject({ name: 'split', restarts: 0, lastExit: null, version: '1.0.0' });
    expect(modules.whyDown('split')).toBeUndefined();
    expect(modules.codeDigestOf('split')).toBe('digest-of-split');
    expect(states).toEqual(['starting', 'healthy']);
    await modules.stop();
    expect(states.at(-1)).toBe('stopped');
  });

  it('starts a killed tool again, with what happened on record', async () => {
    await start([process.execPath, FIXTURE]);
    await until(() => one().state === 'healthy', 'healthy');
    const { pid } = one();
    process.kill(pid ?? 0, 'SIGKILL');
    await until(() => one().state === 'restarting', 'restarting');
    expect(modules.whyDown('split')).toBe('The split tool ended by signal SIGKILL and is being restarted.');
    await until(() => one().state === 'healthy', 'healthy again');
    expect(one()).toMatchObject({ restarts: 1, lastExit: { signal: 'SIGKILL', code: null } });
    expect(one().pid).not.toBe(pid);
  });

  it('keeps trying a tool that cannot start', async () => {
    await start([process.execPath, '-e', 'process.exit(3)', '--']);
    await until(() => one().restarts >= 2, 'two restarts');
    expect(one()).toMatchObject({ state: 'restarting', lastExit: { code: 3 } });
    expect(modules.whyDown('split')).toMatch(/ended with code 3/);
  });
});
