import * as z from 'zod';
import { timestampSchema } from '../common.ts';
import { budgetInEffectSchema } from './budgets.ts';
import { linkStandingSchema } from './link.ts';

const bytes = z.number().min(0);

/** What waits on a device's disk to be sent. */
export const spoolStandingSchema = z.object({
  usedBytes: bytes,
  budgetBytes: bytes,
  /** Records that the server has not taken yet. */
  waiting: z.int().min(0),
  /** When the oldest of them is from; null when none waits. */
  oldestAt: timestampSchema.nullable(),
  /** Records that were put together with others for want of room, since the spool began. */
  aggregated: z.int().min(0),
  /** Records that were given up for want of room, since the spool began. */
  dropped: z.int().min(0),
});
export type SpoolStanding = z.infer<typeof spoolStandingSchema>;

/** What a device's agent may use, and uses; null: no limit, or not known. */
export const budgetStandingSchema = z.object({
  /** Of the agent's own connections, both ways, on this day in UTC. */
  trafficBytes: bytes,
  trafficBudgetBytes: bytes.nullable(),
  /** Versions, spool and logs. */
  diskBytes: bytes.nullable(),
  diskBudgetBytes: bytes.nullable(),
  /** Of each model process. */
  memoryLimitBytes: bytes.nullable(),
  cpuLimit: z.number().min(0).nullable(),
  /** Why what is not urgent waits; null: it does not. */
  waits: z
    .object({
      reason: z.enum(['traffic', 'metered']),
      message: z.string().max(1024),
      untilAt: timestampSchema.nullable(),
    })
    .nullable(),
  /** What is set, and by whom; absent from agents that do not say. */
  inEffect: z.array(budgetInEffectSchema).max(32).optional(),
});
export type BudgetStanding = z.infer<typeof budgetStandingSchema>;

export const upkeepSchema = z.object({
  spool: spoolStandingSchema.optional(),
  budgets: budgetStandingSchema.optional(),
  /** Absent before there was a round trip, and from agents that do not measure. */
  link: linkStandingSchema.optional(),
});
export type Upkeep = z.infer<typeof upkeepSchema>;
