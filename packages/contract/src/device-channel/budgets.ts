import * as z from 'zod';

const intervalS = z.number().min(1).max(86_400);

/**
 * What a device's agent may use, and how often it measures: as the device's owner sets it in `agent.json`, and as an operator sets it at
 * the server. Of two values the stricter one holds.
 */
export const deviceBudgetsSchema = z.strictObject({
  /** Most that the agent's connections may move in a day (UTC), both ways, MiB; default no limit. What is not urgent waits then. */
  trafficMiBPerDay: z.number().min(0.01).max(1_048_576).optional(),
  /** Most that versions, spool and logs may take, MiB; default no limit. A version that would not fit is refused before it is fetched. */
  diskMiB: z.number().min(1).optional(),
  /** Most that what waits to be sent may take on disk, MiB; default 16. What is older is put together then. */
  spoolMiB: z.number().min(0.25).max(65_536).optional(),
  /** Most memory that one workload may have, MiB; default three quarters of the machine's. */
  memoryLimitMiB: z.int().min(16).optional(),
  /** Most CPU that one workload may use, in cores; default no limit. */
  cpuLimit: z.number().min(0.01).max(1024).optional(),
  /** What may wait for a link that is not metered: `telemetry` is what was kept while there was no connection. */
  defer: z.strictObject({ telemetry: z.literal('untilUnmetered').optional() }).optional(),
  /** Whether the link is metered; `auto` (default) asks NetworkManager where it is there. */
  metered: z.union([z.boolean(), z.literal('auto')]).optional(),
  /** Seconds between telemetry samples; default 60. */
  telemetryIntervalS: intervalS.optional(),
  /** Seconds between telemetry batches; default 300. */
  telemetryBatchS: intervalS.optional(),
  /** Seconds that a summary of a model's answers is of; default 300. */
  resultsIntervalS: intervalS.optional(),
});
export type DeviceBudgets = z.infer<typeof deviceBudgetsSchema>;
export type BudgetName = keyof DeviceBudgets;

/** The same on the wire: an agent passes over what it does not know. */
export const toldBudgetsSchema = z.object({
  ...deviceBudgetsSchema.shape,
  defer: z.object({ telemetry: z.literal('untilUnmetered').optional() }).optional(),
});

/** A budget that is set, as a device keeps it. `from` is whose value holds; `other` is what the other one has set, if it was not stricter. */
export const budgetInEffectSchema = z.object({
  name: z.string().max(64),
  value: z.union([z.number(), z.boolean(), z.string().max(64)]),
  from: z.enum(['device', 'server']),
  other: z.union([z.number(), z.boolean(), z.string().max(64)]).optional(),
});
export type BudgetInEffect = z.infer<typeof budgetInEffectSchema>;

/** `trafficMiBPerDay 5 (device; the server says 50)`. */
export function budgetText({ name, value, from, other }: BudgetInEffect): string {
  const otherText = other === undefined ? '' : `; the ${from === 'device' ? 'server' : 'device'} says ${other}`;
  return `${name} ${value} (${from}${otherText})`;
}
