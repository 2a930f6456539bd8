import { setImmediate } from 'node:timers/promises';

/** Lets the event loop run once, so that the API answers in the middle of a long computation; throws the signal's reason when it is aborted. */
export async function yieldToEvents(signal: AbortSignal): Promise<void> {
  await setImmediate();
  signal.throwIfAborted();
}
