import { AppError } from '@selvedge/contract';

export interface Backoff {
  /** Delay before the second try, in milliseconds. */
  baseMs: number;
  maxMs: number;
}

/**
 * Exponential back-off with half jitter: between 50 % and 100 % of min(maxMs, baseMs * 2^(attempt - 1)), so that many
 * clients of one server do not return in step.
 *
 * @param attempt - 1 for the first delay.
 */
export function backoffDelayMs(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  const full = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(attempt - 1, 30));
  return full / 2 + (full / 2) * random();
}

/** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

export interface WaitOptions {
  timeoutMs: number;
  /** Default 50 ms. */
  intervalMs?: number;
  /** What is awaited, for the message: "the device to serve version 2". */
  what: string;
  signal?: AbortSignal;
}

/**
 * Asks until the answer is neither undefined nor false.
 *
 * @throws AppError TIMEOUT (operational) when time is up.
 */
export async function waitUntil<T>(check: () => Promise<T | undefined | false> | T | undefined | false, options: WaitOptions): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() >= deadline) {
      throw new AppError('TIMEOUT', { message: `Waited ${Math.round(options.timeoutMs / 1000)} s in vain for ${options.what}.` });
    }
    await sleep(options.intervalMs ?? 50, options.signal);
  }
}
