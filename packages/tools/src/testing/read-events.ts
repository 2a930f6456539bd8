import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import * as z from 'zod';

const SCRIPT = new URL('read_events.py', import.meta.url).pathname;

const histogramSchema = z.object({
  min: z.number().default(0),
  max: z.number().default(0),
  num: z.number(),
  sum: z.number().default(0),
  limits: z.array(z.number()),
  counts: z.array(z.number()),
});
const imageSchema = z.object({ height: z.number(), width: z.number(), colorspace: z.number(), isPng: z.boolean() });
const eventSchema = z.object({
  wallTime: z.number().default(0),
  step: z.number(),
  fileVersion: z.string().optional(),
  session: z.object({ status: z.number(), msg: z.string() }).optional(),
  summary: z
    .array(
      z.object({ tag: z.string(), scalar: z.number().optional(), image: imageSchema.optional(), histogram: histogramSchema.optional() }),
    )
    .optional(),
});
export type WitnessedEvent = z.infer<typeof eventSchema>;

/** The tests that need the independent reader are left out where there is no python3. */
export const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0;

/** The events of a file as a reader sees them that knows the format only; throws when the file is not exactly that. */
export async function witnessEvents(path: string): Promise<WitnessedEvent[]> {
  const { stdout } = await promisify(execFile)('python3', [SCRIPT, path], { maxBuffer: 64 * 1024 * 1024 });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => eventSchema.parse(JSON.parse(line)));
}

/** What a reader shows of a file: each START mark makes it forget what was before. */
export function shownScalars(events: readonly WitnessedEvent[]): Record<string, [number, number][]> {
  const last = events.findLastIndex(({ session }) => session?.status === 1);
  const shown: Record<string, [number, number][]> = {};
  for (const { step, summary } of events.slice(last + 1)) {
    for (const { tag, scalar } of summary ?? []) if (scalar !== undefined) shown[tag] = [...(shown[tag] ?? []), [step, scalar]];
  }
  return shown;
}
