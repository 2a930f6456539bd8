import * as z from 'zod';

const mqttsUrl = z.string().regex(/^mqtts:\/\/(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/, 'must look like mqtts://host:8883');

/** With files of its own for TLS, or, without them, with an identity of the device authority. */
const brokerConfigSchema = z
  .strictObject({
    url: mqttsUrl,
    /** The address under which devices reach it; default `url`. */
    advertise: mqttsUrl.nullable().default(null),
    /** Authorities of the broker's certificate, PEM. */
    caFile: z.string().min(1).nullable().default(null),
    /** The server's own certificate and key at the broker, PEM; both or none. */
    certFile: z.string().min(1).nullable().default(null),
    keyFile: z.string().min(1).nullable().default(null),
  })
  .refine(({ certFile, keyFile }) => (certFile === null) === (keyFile === null), {
    message: 'certificate and key go together',
    path: ['keyFile'],
  });
export type BrokerConfig = z.output<typeof brokerConfigSchema>;

/** Settings of the server: one schema gives defaults, validation and documentation; parsed once in main. */
export const serverConfigSchema = z.strictObject({
  /** Everything the server keeps lives below this folder. */
  dataDir: z.string().min(1),
  /** Address of the user port; loopback unless told otherwise. */
  host: z.string().default('127.0.0.1'),
  port: z.int().min(0).max(65_535).default(7070),
  deviceHost: z.string().default('127.0.0.1'),
  devicePort: z.int().min(0).max(65_535).default(7443),
  /** A broker of its own for MQTT with devices; without it, the server speaks it on the device port. */
  broker: brokerConfigSchema.nullable().default(null),
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
  /** Command that makes a patch between two files; none: devices fetch whole files. */
  deltaCommand: z.array(z.string()).default([]),
  /** What patches between versions may take on disk, in bytes; 0: none are made. */
  deltaCacheBytes: z
    .int()
    .min(0)
    .default(1024 ** 3),
  telemetryRetentionDays: z.int().min(1).default(14),
  /** How long what devices put together while they were offline is kept: one sample for ten minutes and more, results of an hour and more. */
  telemetrySummaryRetentionDays: z.int().min(1).default(400),
});
export type ServerConfig = z.output<typeof serverConfigSchema>;
