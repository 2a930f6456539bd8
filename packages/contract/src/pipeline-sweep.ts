import * as z from 'zod';

const choice = z.union([z.number(), z.string().max(64)]);

/** Values to try of one hyperparameter: a list, or a range to draw from. */
export const sweepParameterSchema = z.union([
  z.array(choice).min(1).max(100),
  z
    .strictObject({
      min: z.number(),
      max: z.number(),
      /** Drawn evenly over the logarithm; for ranges above 0. */
      log: z.boolean().optional(),
      /** Rounded to whole numbers. */
      integer: z.boolean().optional(),
    })
    .refine(({ min, max }) => min < max, { path: ['max'], message: 'must be above min' })
    .refine(({ min, log }) => log !== true || min > 0, { path: ['min'], message: 'must be above 0 for a logarithmic range' }),
]);
export type SweepParameter = z.infer<typeof sweepParameterSchema>;

/** Most runs of one sweep. */
const MAX_RUNS = 1000;

/**
 * `sweep:` of a pipeline: a run of it tries hyperparameters in runs of their own and registers the best.
 *
 * `halving` begins with `runs` draws at few epochs, keeps the best 1/`factor` of them, gives those `factor` times the
 * epochs, and so on up to the `epochs` of the pipeline.
 */
export const sweepSchema = z
  .strictObject({
    method: z.enum(['grid', 'random', 'halving']),
    /** By names of `model.hyperparams`. */
    parameters: z.record(z.string().max(64), sweepParameterSchema),
    /** How many draws; for a grid, how many of its points at most (default all). */
    runs: z.int().min(1).max(MAX_RUNS).optional(),
    /** How many runs at a time, 1..32; default 2. */
    parallel: z.int().min(1).max(32).optional(),
    /** A metric of the runs, like `validation/accuracy`. */
    metric: z.string().min(1).max(128),
    /** Default maximize. */
    goal: z.enum(['maximize', 'minimize']).optional(),
    /** Seeds the draws; default 0. */
    seed: z.int().min(0).max(0xffff_ffff).optional(),
    /** For halving, 2..10; default 3. */
    factor: z.int().min(2).max(10).optional(),
    /** For halving: fewest epochs of a run; default 1. */
    minEpochs: z.int().min(1).max(100_000).optional(),
  })
  .superRefine((sweep, ctx) => {
    const names = Object.keys(sweep.parameters);
    if (names.length === 0) ctx.addIssue({ code: 'custom', path: ['parameters'], message: 'must name at least one hyperparameter' });
    if (sweep.method !== 'grid' && sweep.runs === undefined)
      ctx.addIssue({ code: 'custom', path: ['runs'], message: `is needed for "${sweep.method}": how many draws` });
    if (sweep.method === 'halving' && names.includes('epochs'))
      ctx.addIssue({ code: 'custom', path: ['parameters', 'epochs'], message: 'halving chooses the epochs itself' });
    if (sweep.method !== 'grid') return;
    for (const [name, values] of Object.entries(sweep.parameters))
      if (!Array.isArray(values)) ctx.addIssue({ code: 'custom', path: ['parameters', name], message: 'a grid needs a list of values' });
    const points = Object.values(sweep.parameters).reduce((product, values) => product * (Array.isArray(values) ? values.length : 1), 1);
    if (points > MAX_RUNS && sweep.runs === undefined)
      ctx.addIssue({ code: 'custom', path: ['parameters'], message: `make a grid of ${points} points; set runs (at most ${MAX_RUNS})` });
  });
export type SweepSpec = z.infer<typeof sweepSchema>;
