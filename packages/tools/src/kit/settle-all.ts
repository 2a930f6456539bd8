/** As `Promise.all`, but the first failure is reported only when nothing is under way any more: what was begun can be removed then. */
export async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  for (const end of await Promise.allSettled(work)) if (end.status === 'rejected') throw end.reason;
}
