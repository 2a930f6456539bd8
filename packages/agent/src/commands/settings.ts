import { join } from 'node:path';
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
  /** Default info. */
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional(),
});
export type Settings = z.infer<typeof settingsSchema>;

/** @throws AppError INPUT_INVALID (user) when `agent.json` is malformed. */
export async function readSettings(dir: string): Promise<Settings> {
  return (await readJsonFile(join(dir, 'agent.json'), settingsSchema)) ?? {};
}
