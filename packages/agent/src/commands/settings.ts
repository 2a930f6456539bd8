import { join } from 'node:path';
import { deviceBudgetsSchema, deviceLocationSchema, targetNameSchema } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';
import * as z from 'zod';
import { commandPolicySchema, shellPolicySchema } from '../domain/command-policy.ts';
import type { RemotePolicy } from '../services/programs.ts';

const SETTINGS_FILE = 'agent.json';

const rootSchema = z
  .string()
  .max(4096)
  .regex(/^\/[^\0]*$/, 'must be an absolute path');

/** `agent.json` in the agent's folder; flags win over it. */
export const settingsSchema = z.strictObject({
  ...deviceBudgetsSchema.shape,
  /** Seconds without traffic after which the connection is probed; default 60. */
  keepaliveS: z.int().min(5).max(3600).optional(),
  /** Whose native packages it runs; default: those of this machine. */
  target: targetNameSchema.optional(),
  /** Program that runs executables of another architecture, such as qemu-arm-static, for trials; needs `target`. */
  emulator: z.string().min(1).max(4096).optional(),
  /** Where the device is; what an operator sets at the server wins. */
  location: deviceLocationSchema.optional(),
  /** A JSON file like `location`, kept by something else on the device (e.g. from a satellite receiver); read every minute. */
  locationFile: z.string().min(1).max(4096).optional(),
  /** Folders that files may be pushed to and pulled from, and what is below them; default: `files` in the agent's folder. */
  files: z
    .strictObject({
      roots: z.array(rootSchema).max(64).optional(),
      /** What may be pulled from; default: `roots`. */
      readRoots: z.array(rootSchema).max(64).optional(),
    })
    .optional(),
  /** Default info. */
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).optional(),
  /** Most that each of the two files of a log may take, KiB; default 1024. */
  logFileKiB: z.int().min(16).max(1_048_576).optional(),
  /** Programs that the server may run; none without it. */
  commands: commandPolicySchema.optional(),
  /** Whether the server may open a shell; not without it. */
  shell: shellPolicySchema.optional(),
  /** Whether the server may reboot the device; not without it. */
  reboot: z.boolean().optional(),
  /** How it is rebooted; default `systemctl reboot`, or `reboot` where there is none. */
  rebootCommand: z.array(z.string().min(1).max(4096)).min(1).max(16).optional(),
});
export type Settings = z.infer<typeof settingsSchema>;

/** @throws AppError INPUT_INVALID (user) when `agent.json` is malformed. */
export async function readSettings(dir: string): Promise<Settings> {
  return (await readJsonFile(join(dir, SETTINGS_FILE), settingsSchema)) ?? {};
}

const DEFAULT_REBOOT = ['/bin/sh', '-c', 'systemctl reboot || reboot'];

/** What the device allows its server, as it stands in its folder now. @throws AppError INPUT_INVALID (user). */
export async function readRemotePolicy(dir: string): Promise<RemotePolicy> {
  const { commands, shell, reboot = false, rebootCommand = DEFAULT_REBOOT } = await readSettings(dir);
  return {
    commands: commands ?? commandPolicySchema.parse({}),
    shell: shell ?? shellPolicySchema.parse({}),
    reboot,
    rebootCommand,
    file: join(dir, SETTINGS_FILE),
  };
}
