import * as z from 'zod';
import { packagePathSchema } from './common.ts';
import { TARGET_FACTS } from './target-facts.ts';

/** A platform that packages are built for: operating system and architecture, e.g. `linux-armv7`. */
export const targetNameSchema = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)+$/, 'must be like "linux-arm64"');

/** The target whose packages run on a device of this `process.arch` and `process.platform`; undefined when none is known. */
export function targetOf(arch: string, platform: string): string | undefined {
  return TARGET_FACTS.find(({ name, machine }) => machine === arch && name.startsWith(`${platform}-`))?.name;
}

export const ENGINES = ['xnnpack', 'onnxruntime'] as const;
export type EngineName = (typeof ENGINES)[number];
export const PRECISIONS = ['fp32', 'fp16', 'int8'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** A C++ file that is compiled into the package as extra pre- or post-processing steps (native/runtime/selvedge_step.h). */
export const buildSourceSchema = z.strictObject({ path: packagePathSchema, text: z.string().max(256 * 1024) });

/** How a package is to be built. */
export const buildOptionsSchema = z.strictObject({
  /** `auto` (default): xnnpack when it has every operator of the model, else onnxruntime. */
  engine: z.enum(['auto', ...ENGINES]).optional(),
  /** Default fp32. `auto`: the fastest that loses at most `tolerance` on the test data. */
  precision: z.enum(['auto', ...PRECISIONS]).optional(),
  /** Largest loss of accuracy that `auto` accepts, 0..1; default 0.005 (half a point). */
  tolerance: z.number().min(0).max(1).optional(),
  calibration: z
    .strictObject({
      /** How ranges of activations are found; default percentile (99.99). */
      method: z.enum(['minmax', 'percentile', 'entropy']).optional(),
      /** Training samples that are looked at; default 200. */
      samples: z.int().min(1).max(10_000).optional(),
    })
    .optional(),
  sources: z.array(buildSourceSchema).max(50).optional(),
  libraries: z
    .array(z.enum(['opencv']))
    .max(1)
    .optional(),
  /** See NativeManifest; default true. */
  dctScaling: z.boolean().optional(),
});
export type BuildOptions = z.infer<typeof buildOptionsSchema>;
