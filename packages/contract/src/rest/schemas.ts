import * as z from 'zod';
import { targetNameSchema } from '../build-options.ts';
import { nameSchema, timestampSchema } from '../common.ts';
import { inferResultSchema } from '../device-channel/messages.ts';
import { resultSummarySchema } from '../device-channel/results.ts';
import { telemetrySampleSchema } from '../device-channel/telemetry.ts';
import { someHyperparamsSchema } from '../pipeline-spec.ts';
import {
  anyDocumentSchema,
  anyResourceSchema,
  datasetVersionSchema,
  kindSchema,
  metricPointSchema,
  modelSchema,
  modelVersionSchema,
  packageBenchmarkSchema,
  runSchema,
} from '../resources/index.ts';
import { TARGET_FACTS } from '../target-facts.ts';
import { artifactStatusSchema } from '../tool-api.ts';

/** The one line that the server prints on stdout, once it takes requests. `loginUrl` signs one browser in, once. */
export const serverReadySchema = z.object({
  event: z.literal('ready'),
  url: z.string(),
  deviceUrl: z.string(),
  dataDir: z.string(),
  loginUrl: z.string(),
});
export type ServerReady = z.infer<typeof serverReadySchema>;

export const moduleSchema = z.object({
  name: z.string(),
  state: z.enum(['starting', 'healthy', 'unhealthy', 'restarting', 'stopped']),
  pid: z.int().nullable(),
  restarts: z.int().min(0),
  since: timestampSchema,
  lastExit: z.object({ code: z.int().nullable(), signal: z.string().nullable(), at: timestampSchema }).nullable(),
  busyWith: z.string().nullable(),
  queued: z.int().min(0),
  version: z.string().nullable(),
});
export type Module = z.infer<typeof moduleSchema>;

export const healthSchema = z.object({
  /** `degraded`: the server works, a module does not. */
  status: z.enum(['ok', 'degraded']),
  version: z.string(),
  uptimeS: z.number(),
  modules: z.array(moduleSchema),
  devicePort: z.int(),
  devices: z.object({ total: z.int(), online: z.int() }),
});
export type Health = z.infer<typeof healthSchema>;

export const applyRequestSchema = z.strictObject({
  documents: z.array(anyDocumentSchema).min(1).max(1000),
  dryRun: z.boolean().optional(),
});
export const applyResultSchema = z.object({
  results: z.array(
    z.object({ kind: kindSchema, name: nameSchema, action: z.enum(['created', 'configured', 'unchanged']), generation: z.int() }),
  ),
});

export const startRunRequestSchema = z.strictObject({
  datasetVersion: z.int().min(1).optional(),
  /** False: no step is taken from an earlier run. Default true. */
  cache: z.boolean().optional(),
  /** False: one run, although the pipeline has a sweep. Default true. */
  sweep: z.boolean().optional(),
  /** In place of the pipeline's own, in this run only. */
  hyperparams: someHyperparamsSchema.optional(),
});
export const inferResponseSchema = z.object({ device: nameSchema, roundTripMs: z.number(), infer: inferResultSchema });

/** A platform that packages can be built for, and whether its toolchain is on the machine of the build tool. */
export const targetSchema = z.object({
  name: targetNameSchema,
  description: z.string(),
  installed: z.boolean(),
  extras: z.array(z.string()),
  sizeBytes: z.int().min(0).nullable(),
  compiler: z.string().nullable(),
});
export type Target = z.infer<typeof targetSchema>;
/** What is known without any toolchain: what the server shows when `targets.json` is not there. */
export const KNOWN_TARGETS: readonly Target[] = TARGET_FACTS.map(({ name, description }) => {
  return { name, description, installed: false, extras: [], sizeBytes: null, compiler: null };
});
/** `targets.json` in the targets folder, written by `selvedge target`: what the server shows. */
export const targetsFileSchema = z.object({ formatVersion: z.literal(1), targets: z.array(targetSchema) });

export const benchRequestSchema = z.strictObject({
  /** A device by name, or all that match a label selector. */
  device: nameSchema.optional(),
  selector: z.string().max(2048).optional(),
  /** How long to measure; default 10. */
  seconds: z.int().min(1).max(600).optional(),
  /** Default 1. */
  threads: z.int().min(1).max(64).optional(),
});
export const benchResponseSchema = z.object({
  results: z.array(packageBenchmarkSchema),
  failures: z.array(z.object({ device: nameSchema, code: z.string(), message: z.string() })),
});

export const listSchema = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });

export const modelDetailSchema = z.object({ model: modelSchema, versions: z.array(modelVersionSchema) });
export const runListSchema = listSchema(runSchema);
export const metricsSchema = z.object({ points: z.array(metricPointSchema) });
export const telemetrySchema = z.object({ samples: z.array(telemetrySampleSchema) });
export const deviceResultsSchema = z.object({ results: z.array(resultSummarySchema) });
export const artifactListSchema = listSchema(
  z.object({ tool: z.string(), name: z.string(), type: z.string(), state: artifactStatusSchema }),
);
export const datasetVersionResponseSchema = datasetVersionSchema;

/** One event of the stream `GET /api/v1/events` (SSE: `event:` is the type, `data:` the JSON). */
export const serverEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('resource'), action: z.enum(['written', 'deleted']), resource: anyResourceSchema }),
  z.object({ type: z.literal('metric'), run: z.string(), points: z.array(metricPointSchema) }),
  z.object({ type: z.literal('module'), module: moduleSchema }),
]);
export type ServerEvent = z.infer<typeof serverEventSchema>;
