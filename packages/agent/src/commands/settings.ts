import { join } from 'node:path';
import { targetNameSchema } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';
import * as z from 'zod';

/** `agent.json` in the agent's folder; flags win over it. */
export const settingsSchema = z.strictObject({
  /** Seconds between telemetry samples; default 60. */
  telemetryIntervalS: z.number().min(1).max(86_400).optional(),
  /** Seconds between telemetry batches; default 300. */
  telemetryBatchS: z.number().min(1).max(86_400).optional(),
  /** Seconds without traffic after which the connection is probed; default 60. */
  keepaliveS: z.int().min(5).max(3600).optional(),
  /** Whose native packages it runs; default: those of this machine. */
  target: targetNameSchema.optional(),
  /** Program that runs executables of another architecture, such as qemu-arm-static, for trials; needs `target`. */
  emulator: z.string().min(1).max(4096).optional(),
  /** Most memory that one workload may have, MiB; default three quarters of the machine's. */
  memoryLimitMiB: z.int().min(16).optional(),
  /** Most CPU that one workload may use, in cores; default no limit. */
  cpuLimit: z.number().min(0.01).max(1024).optional(),
  /** Whether the link is metered; `auto` (default) asks NetworkManager where it is there. */
  metered: z.union([z.boolean(), z.literal('auto')]).optional(),
  /** Default info. */
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional(),
});
export type Settings = z.infer<typeof settingsSchema>;

/** @throws AppError INPUT_INVALID (user) when `agent.json` is malformed. */
export async function readSettings(dir: string): Promise<Settings> {
  return (await readJsonFile(join(dir, 'agent.json'), settingsSchema)) ?? {};
}
