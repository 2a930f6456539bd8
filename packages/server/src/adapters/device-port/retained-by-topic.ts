import { Readable } from 'node:stream';
import type { Aedes, AedesPublishPacket } from 'aedes';
import * as z from 'zod';

/** The part of aedes' persistence that keeps retained messages; its types leave it open. */
const persistenceSchema = z.looseObject({
  storeRetained: z.custom<(packet: AedesPublishPacket, ...rest: unknown[]) => unknown>((value) => typeof value === 'function'),
});

/**
 * Finds retained messages by their topic. Aedes compares every retained message with every subscription, which makes
 * connecting N devices take N² comparisons; here nobody may subscribe to a pattern, so a map does.
 */
export function findRetainedByTopic(broker: Aedes): void {
  const { persistence } = z.object({ persistence: z.instanceof(Object) }).parse(broker);
  const store = persistenceSchema.parse(persistence).storeRetained.bind(persistence);
  const retained = new Map<string, AedesPublishPacket>();
  Object.assign(persistence, {
    storeRetained: (packet: AedesPublishPacket, ...rest: unknown[]) => {
      if (packet.payload.length === 0) retained.delete(packet.topic);
      else retained.set(packet.topic, { ...packet });
      return store(packet, ...rest);
    },
    createRetainedStreamCombi: (topics: readonly string[]) => Readable.from(topics.flatMap((topic) => retained.get(topic) ?? [])),
  });
}
