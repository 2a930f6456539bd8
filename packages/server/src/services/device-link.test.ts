import { describe, expect, it } from 'vitest';
import { type CommandBody, deviceOffline } from './device-commands.ts';
import { DeviceLink } from './device-link.ts';

const QUESTION: CommandBody = { type: 'refresh-identity' };

describe('a question to a device', () => {
  it('leaves time for all else while the way to a device that is there is lost', async () => {
    let asked = 0;
    let isOpen = false;
    const link = new DeviceLink({
      ask: async (device) => {
        asked += 1;
        if (!isOpen) throw deviceOffline(device);
        return { ok: true, done: true };
      },
    });
    link.deviceIsReady('cam-1');
    const answer = link.ask('cam-1', QUESTION, { timeoutMs: 1000, patienceMs: 60_000, signal: new AbortController().signal });
    await new Promise((resolve) => setTimeout(resolve, 250)); // never comes where questions follow each other at once
    expect(asked).toBeLessThan(10);
    isOpen = true;
    await expect(answer).resolves.toEqual({ ok: true, done: true });
  });

  it('ends when nobody waits any more', async () => {
    const link = new DeviceLink({ ask: async (device) => Promise.reject(deviceOffline(device)) });
    link.deviceIsReady('cam-1');
    const over = new AbortController();
    const answer = link.ask('cam-1', QUESTION, { timeoutMs: 1000, patienceMs: 60_000, signal: over.signal });
    setTimeout(() => over.abort(new Error('gone')), 20);
    await expect(answer).rejects.toThrow('gone');
  });
});
