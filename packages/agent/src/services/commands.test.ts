import type { Command, InferResult, Reply } from '@selvedge/contract';
import { AppError } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { describe, expect, it } from 'vitest';
import type { DeviceChannel } from '../ports/device-channel.ts';
import type { ModelProcess } from '../ports/model-process.ts';
import { Commands } from './commands.ts';

const NOW = Date.parse('2026-01-01T00:00:00.000Z');
const result: InferResult = { model: 'm', version: '1', latencyMs: 1, result: {} };

function setUp(infer: ModelProcess['infer'] = async () => result) {
  const replies: Reply[] = [];
  const channel: DeviceChannel = {
    connected: true,
    publish: async (_topic, message) => void replies.push(message as Reply),
  };
  const target: ModelProcess = {
    exited: new Promise(() => undefined),
    probe: async () => undefined,
    hand: () => undefined,
    onGivenBack: () => undefined,
    port: 1,
    release: () => undefined,
    resume: () => undefined,
    watchClosely: () => undefined,
    read: async () => '',
    rssBytes: async () => null,
    drain: async () => undefined,
    stop: async () => undefined,
    infer,
  };
  const commands = new Commands({
    channel,
    has: (name) => name !== 'unknown',
    serving: (name) => (name === 'colours' ? target : undefined),
    bench: async () => Promise.reject(new AppError('CONFLICT', { message: 'no package' })),
    refreshIdentity: async () => undefined,
    transfers: () => Promise.reject(new AppError('FORBIDDEN', { message: 'no files' })),
    remote: async () => ({ ok: true, done: true }),
    clock: () => NOW,
    log: createLogger({ name: 'test', write: () => undefined }),
  });
  return { commands, replies };
}
const command = (more: Partial<Extract<Command, { type: 'infer' }>> = {}): Command => ({
  v: 1,
  id: 'a',
  expiresAt: new Date(NOW + 1000).toISOString(),
  type: 'infer',
  workload: 'colours',
  contentType: 'image/png',
  bodyBase64: 'AAAA',
  ...more,
});

describe('Commands', () => {
  it('answers each command once', async () => {
    const { commands, replies } = setUp();
    await commands.execute(command());
    await commands.execute(command());
    expect(replies).toEqual([{ v: 1, id: 'a', outcome: { ok: true, infer: result } }]);
  });

  it('drops what came too late and what has no id', async () => {
    const { commands, replies } = setUp();
    await commands.execute(command({ expiresAt: new Date(NOW - 1).toISOString() }));
    await commands.execute({ hello: 1 });
    await commands.execute(null);
    expect(replies).toEqual([]);
  });

  it('answers what it cannot do with the reason', async () => {
    const { commands, replies } = setUp(async () => {
      throw new AppError('IMAGE_UNREADABLE', { message: 'no picture' });
    });
    await commands.execute({ ...command({ id: '1' }), type: 'dance' } as unknown as Command);
    await commands.execute(command({ id: '2', workload: 'unknown' }));
    await commands.execute(command({ id: '3', workload: 'stopped' }));
    await commands.execute(command({ id: '4' }));
    expect(replies.map(({ id, outcome }) => [id, outcome.ok ? 'ok' : outcome.error.code])).toEqual([
      ['1', 'INPUT_INVALID'],
      ['2', 'WORKLOAD_NOT_SERVING'],
      ['3', 'WORKLOAD_NOT_SERVING'],
      ['4', 'IMAGE_UNREADABLE'],
    ]);
  });

  it('refreshes what it knows of its server when asked', async () => {
    const { commands, replies } = setUp();
    await commands.execute({ v: 1, id: 'r', expiresAt: new Date(NOW + 1000).toISOString(), type: 'refresh-identity' });
    expect(replies).toEqual([{ v: 1, id: 'r', outcome: { ok: true, refreshed: true } }]);
  });
});
