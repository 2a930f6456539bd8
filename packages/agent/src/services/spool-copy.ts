import type { TelemetryBatch } from '@selvedge/contract';
import type { BatchWish, Spool } from '../ports/spool.ts';
import { messageOf } from './telemetry.ts';

/** As many records as one batch over the wire may have. */
const LARGE: BatchWish = { order: 'oldest', maxRecords: 1000, maxBytes: 256 * 1024 };
/** A spool remembers so many batches as given out. */
const MAX_BATCHES = 250;

/**
 * Gives out all that waits, the oldest first, without counting it as sent: the server takes each number once, whichever way it
 * comes.
 */
export async function copyWaiting(
  spool: Pick<Spool, 'nextBatch' | 'release'>,
  take: (batch: TelemetryBatch) => Promise<void> | void,
): Promise<void> {
  const given: { first: number; last: number }[] = [];
  try {
    for (let batch = await spool.nextBatch(LARGE); batch !== undefined; batch = await spool.nextBatch(LARGE)) {
      given.push({ first: batch.first, last: batch.last });
      await take(messageOf(batch));
      if (given.length === MAX_BATCHES) return;
    }
  } finally {
    for (const range of given) spool.release(range);
  }
}
