import type { OutputStream } from '../io.ts';

function drained(output: OutputStream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    output.once('drain', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}

/** Copies chunks to an output, no faster than it takes them. */
export async function copyTo(output: OutputStream, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    if (!output.write(chunk)) await drained(output, signal);
  }
}
