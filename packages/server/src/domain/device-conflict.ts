/** One agent process that has used a device's identity; it gives itself a new id with every start. */
export interface SeenInstance {
  instanceId: string;
  address: string;
  lastSeenAt: string;
}

/** What is known of the agents behind one identity. */
export interface InstanceHistory {
  /** In the order in which they were first seen; the last is the newest. */
  instances: readonly SeenInstance[];
  /** Since when two live agents are proven; null while there is no proof. */
  conflictSince: string | null;
}

export const NO_INSTANCES: InstanceHistory = { instances: [], conflictSince: null };

/** An instance that was quiet for so long is taken for gone. */
export const INSTANCE_QUIET_MS = 600_000;
const MAX_INSTANCES = 8;

/**
 * An agent has connected.
 *
 * A restarted agent has a new id, so a new id alone proves nothing. But a process that was replaced by its successor
 * never comes back: an older instance that connects after a newer one had, proves that both are alive, so the
 * identity was copied.
 */
export function instanceConnected(history: InstanceHistory, seen: SeenInstance): InstanceHistory {
  const index = history.instances.findIndex((instance) => instance.instanceId === seen.instanceId);
  if (index < 0) return { ...history, instances: [...history.instances, seen].slice(-MAX_INSTANCES) };
  const proven = index < history.instances.length - 1;
  return {
    instances: history.instances.map((instance, at) => (at === index ? seen : instance)),
    conflictSince: history.conflictSince ?? (proven ? seen.lastSeenAt : null),
  };
}

/** The instance was there at this time, e.g. because it sent something. */
export function instanceSeen(history: InstanceHistory, instanceId: string, atIso: string): InstanceHistory {
  return {
    ...history,
    instances: history.instances.map((instance) =>
      instance.instanceId === instanceId && instance.lastSeenAt < atIso ? { ...instance, lastSeenAt: atIso } : instance,
    ),
  };
}

/** Forgets instances that were quiet for ten minutes, and the conflict when no more than one is left. */
export function expireInstances(history: InstanceHistory, nowIso: string): InstanceHistory {
  const oldest = new Date(Date.parse(nowIso) - INSTANCE_QUIET_MS).toISOString();
  const instances = history.instances.filter((instance) => instance.lastSeenAt > oldest);
  if (instances.length === history.instances.length && (instances.length > 1 || history.conflictSince === null)) return history;
  return { instances, conflictSince: instances.length > 1 ? history.conflictSince : null };
}
