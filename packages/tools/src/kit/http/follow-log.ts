import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { type Artifact, isFinished } from '../artifact.ts';

/** The log from its beginning, then what is added to it, until the artifact is finished or the reader goes away. */
export async function* followLog(artifact: Artifact, signal: AbortSignal): AsyncGenerator<Buffer> {
  let position = 0;
  while (!signal.aborted) {
    // Taken before reading: what happens meanwhile is seen in the next round.
    const finished = isFinished(artifact.status);
    const end = artifact.logBytes;
    if (end > position) {
      for await (const chunk of createReadStream(artifact.paths.log, { start: position, end: end - 1 })) {
        position += chunk.length;
        yield chunk;
      }
      continue;
    }
    if (finished) return;
    await once(artifact, 'change', { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
