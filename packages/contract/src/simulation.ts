import * as z from 'zod';
import { labelsSchema } from './common.ts';

const share = z.number().min(0).max(1);
const range = (max: number) =>
  z
    .strictObject({ min: z.number().min(0).max(max), max: z.number().min(0).max(max) })
    .refine(({ min, max }) => min <= max, 'min must not be above max');

/** How simulated devices behave; every field has a default, and the file may be empty. */
export const simulationProfileSchema = z.strictObject({
  /** Seconds between telemetry samples of a device; default 30. */
  telemetryIntervalS: z.number().min(0.1).max(86_400).default(30),
  /** Samples that are sent together; default 1. */
  samplesPerBatch: z.int().min(1).max(1000).default(1),
  /** Devices that join, and that first connect, per second; default 100. */
  startsPerS: z.number().min(0.1).max(10_000).default(100),
  link: z
    .strictObject({
      /** One way, each message and each download; default none. */
      latencyMs: range(60_000).default({ min: 0, max: 0 }),
      /** Messages that are lost once and sent again, as TCP does it: they are later by `retransmitMs`. */
      lossShare: share.default(0),
      retransmitMs: z.number().min(0).max(60_000).default(200),
      /** Of downloads; without it as fast as it goes. */
      bytesPerS: z.number().min(1).optional(),
    })
    .prefault({}),
  /** A share of the devices loses its connection every so often for so long. */
  outage: z.strictObject({ everyS: z.number().min(1), forS: z.number().min(0), share }).optional(),
  updates: z
    .strictObject({
      /** Fetch what the desired state names and check its sha256; default true. */
      download: z.boolean().default(true),
      /** From the last byte to serving. */
      startMs: range(600_000).default({ min: 500, max: 2000 }),
      /** Devices on which a new version fails: at its start without a trial, by a gate with one. Which ones depends on the seed. */
      failShare: share.default(0),
    })
    .prefault({}),
  /** Labels of the devices, beside `selvedge.dev/simulated=true`. `{n}` stands for the device's number. */
  labels: labelsSchema.default({}),
  /** Same seed, same behaviour; default 1. */
  seed: z.int().min(0).default(1),
});
export type SimulationProfile = z.output<typeof simulationProfileSchema>;

export const SIMULATED_LABEL = 'selvedge.dev/simulated';

/** What the simulator is told to do, in a file that only its user may read: it may hold a token. */
export const simulationJobSchema = z.strictObject({
  /** Of the device port. */
  url: z.string(),
  token: z.string(),
  devices: z.int().min(1).max(100_000),
  /** Names are `PREFIX-1`, `PREFIX-2`, ... */
  prefix: z.string().max(200),
  /** Where identities are kept; those that are there are used again. */
  identitiesFile: z.string(),
  /** 0: until it is stopped. */
  durationS: z.number().min(0),
  profile: simulationProfileSchema,
});
export type SimulationJob = z.output<typeof simulationJobSchema>;

const quantiles = z.object({ count: z.int(), p50: z.number(), p99: z.number(), max: z.number() });
/** One line of the simulator's stdout. */
export const simulationReportSchema = z.object({
  event: z.enum(['progress', 'report']),
  elapsedS: z.number(),
  devices: z.int(),
  joined: z.int(),
  online: z.int(),
  /** Connections that ended unasked, and attempts that failed. */
  disconnects: z.int(),
  failedConnects: z.int(),
  samplesSent: z.int(),
  samplesAcknowledged: z.int(),
  downloads: z.object({ count: z.int(), bytes: z.number(), failed: z.int() }),
  /** Milliseconds from sending to the acknowledgement. */
  telemetryAckMs: quantiles.nullable(),
  connectMs: quantiles.nullable(),
  /** By `workload version`: when the order arrived, in Unix milliseconds, and at how many devices. */
  orders: z.record(
    z.string(),
    z.object({ devices: z.int(), firstAtMs: z.number(), p50AtMs: z.number(), p99AtMs: z.number(), lastAtMs: z.number() }),
  ),
  /** Devices by what they serve: `workload version`. */
  serving: z.record(z.string(), z.int()),
  errors: z.array(z.string()).max(20),
});
export type SimulationReport = z.infer<typeof simulationReportSchema>;
