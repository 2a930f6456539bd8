import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { timeoutSignal } from './timeout-signal.ts';

const aborted = (signal: AbortSignal) => new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)));

describe('timeoutSignal', () => {
  it('is up in time, also when garbage was collected meanwhile', async () => {
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    const timer = setInterval(() => typeof collect === 'function' && collect(), 10);
    const reason = await aborted(timeoutSignal(100, new AbortController().signal));
    clearInterval(timer);
    expect(typeof collect).toBe('function');
    expect(reason).toMatchObject({ name: 'TimeoutError' });
  });

  it('aborts with the reason of the other signal', async () => {
    const other = new AbortController();
    const signal = timeoutSignal(60_000, other.signal);
    const reason = aborted(signal);
    other.abort('enough');
    expect(await reason).toBe('enough');
    expect(timeoutSignal(60_000, AbortSignal.abort('before')).aborted).toBe(true);
  });
});
