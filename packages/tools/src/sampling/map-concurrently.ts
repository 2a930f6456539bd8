/**
 * Maps with at most `limit` calls under way; results keep the order of the items. The first failure, or the signal, ends
 * it: no further call begins, and those under way are awaited before it rejects.
 */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal,
  map: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const queue = items.entries();
  let failed = false;
  const work = async (): Promise<void> => {
    // The workers share one iterator: each takes the next item that nobody has.
    for (const [index, item] of queue) {
      if (failed) return;
      try {
        signal.throwIfAborted();
        results[index] = await map(item, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: limit }, work));
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  return results;
}
