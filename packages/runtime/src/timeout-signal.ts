/**
 * Aborts after so long with a TimeoutError, or when `signal` does, with its reason; does not keep the process alive.
 *
 * Use it instead of `AbortSignal.any([signal, AbortSignal.timeout(ms)])`: in Node 20 nothing but that list holds the timeout's signal,
 * and once it is collected as garbage the time is never up.
 */
export function timeoutSignal(timeoutMs: number, signal?: AbortSignal): AbortSignal {
  const control = new AbortController();
  const end = (reason: unknown) => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    control.abort(reason);
  };
  const onAbort = () => end(signal?.reason);
  const timer = setTimeout(() => end(new DOMException('The operation was aborted due to timeout', 'TimeoutError')), timeoutMs);
  timer.unref();
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return control.signal;
}
