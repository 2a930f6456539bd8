import * as z from 'zod';

/** Settings of the server: one schema gives defaults, validation and documentation; parsed once in main. */
export const serverConfigSchema = z.strictObject({
  /** Everything the server keeps lives below this folder. */
  dataDir: z.string().min(1),
  /** Address of the user port; loopback unless told otherwise. */
  host: z.string().default('127.0.0.1'),
  port: z.int().min(0).max(65_535).default(7070),
  deviceHost: z.string().default('127.0.0.1'),
  devicePort: z.int().min(0).max(65_535).default(7443),
  /** Host names or addresses under which devices reach the device port; the first goes into join commands. */
  advertise: z.array(z.string()).default([]),
  /** Folder of the built web UI; none: the UI is not served. */
  webDir: z.string().nullable().default(null),
  /** Folder of the toolchains that packages are built with; default `targets` in the data folder. */
  targetsDir: z.string().min(1).nullable().default(null),
  /** Command that starts a tool; the tool's name is appended. */
  toolCommand: z.array(z.string()).min(1),
  /** File with the tools of a project. */
  projectFile: z.string().min(1).nullable().default(null),
  /** True: the file was not asked for, and need not be there. */
  projectFileOptional: z.boolean().default(false),
  /** Folder of the Python package `selvedge`, for tools in Python. */
  pythonPath: z.string().default(''),
  /** Folder of the kit for tools in TypeScript. */
  nodeKit: z.string().default(''),
  /** File with the credential between the server and its tools, for tools that others start; default: made anew at each start. */
  toolTokenFile: z.string().min(1).nullable().default(null),
  /** Where tools reach this server; default its address on loopback. */
  toolOrigin: z
    .url({ protocol: /^https?$/ })
    .nullable()
    .default(null),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  /** Largest dataset upload in bytes. */
  maxUploadBytes: z
    .int()
    .min(1)
    .default(50 * 1024 ** 3),
  telemetryRetentionDays: z.int().min(1).default(14),
});
export type ServerConfig = z.output<typeof serverConfigSchema>;
