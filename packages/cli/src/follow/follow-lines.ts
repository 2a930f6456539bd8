import { AppError } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import type * as z from 'zod';
import { chunksOf } from '../connect.ts';
import type { Session } from '../session.ts';

export interface FollowLinesOptions<S extends z.ZodType> {
  /** Opens the stream, from where `take` has got to. */
  readonly open: (signal: AbortSignal) => Promise<{ body: unknown }>;
  readonly schema: S;
  /** One line; resolves when there is room for the next. */
  readonly take: (event: z.output<S>) => Promise<void> | void;
  /** Whether a stream that has come to its end was the whole. */
  readonly isDone: () => boolean;
  readonly signal: AbortSignal;
}

const RETRY_MS = 1000;
/** How long a server may be away. */
const PATIENCE_MS = 60_000;

/**
 * Reads a stream of JSON lines to its end, and opens it again when it breaks off.
 *
 * @throws AppError as the server answers, SERVER_UNREACHABLE when it is away for a minute, INTERRUPTED (the signal).
 */
export async function followLines<S extends z.ZodType>(session: Session, options: FollowLinesOptions<S>): Promise<void> {
  const { open, schema, take, isDone, signal } = options;
  for (let deadline = performance.now() + PATIENCE_MS; ; ) {
    try {
      const response = await open(signal);
      for await (const line of linesOf(chunksOf(response, session.settings.serverUrl))) {
        const event = schema.safeParse(JSON.parse(line));
        if (event.success) await take(event.data); // another one is of a newer server and needs no attention here
        deadline = performance.now() + PATIENCE_MS;
      }
      if (isDone()) return;
    } catch (error) {
      signal.throwIfAborted();
      const isTemporary = error instanceof AppError && ['SERVER_UNREACHABLE', 'TIMEOUT'].includes(error.code);
      if (!isTemporary || performance.now() >= deadline) throw error;
    }
    await sleep(RETRY_MS, signal);
  }
}

/** Whole lines only: a piece that a broken connection has left is not one. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}
