import { parseArgs } from 'node:util';
import { AppError } from '@selvedge/contract';
import * as z from 'zod';

const port = z.coerce.number().int().min(0).max(65_535);

const demoOptionsSchema = z.strictObject({
  once: z.boolean().default(false),
  report: z.string().min(1).optional(),
  port: port.default(7070),
  'device-port': port.default(7443),
  data: z.string().min(1).default('.selvedge/demo'),
  train: z.coerce.number().int().min(100).max(100_000).default(3000),
  test: z.coerce.number().int().min(50).max(20_000).default(600),
  fresh: z.boolean().default(false),
});
export type DemoOptions = z.output<typeof demoOptionsSchema>;

export const DEMO_HELP = `Usage: npm run demo -- [options]

Takes a pipeline from a dataset to three devices that serve the model, and shows every step.

Options:
  --once             stop everything and exit when the table is printed
  --report FILE      write the result as JSON
  --port N           port of the UI and the API (default 7070; 0 picks a free one)
  --device-port N    port for devices (default 7443; 0 picks a free one)
  --data DIR         where the demo keeps its data (default .selvedge/demo)
  --fresh            begin anew: delete the demo's data first
  --train N          pictures to train on (default 3000)
  --test N           held-out pictures (default 600)

Example: npm run demo -- --once --report /tmp/report.json
`;

/** @throws AppError USAGE (user) naming the flag. */
export function parseDemoOptions(argv: readonly string[]): DemoOptions | 'help' {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: { once: flag, help: flag, fresh: flag, report: text, port: text, 'device-port': text, data: text, train: text, test: text },
    }));
  } catch (error) {
    throw new AppError('USAGE', { message: error instanceof Error ? error.message : String(error), hint: 'npm run demo -- --help' });
  }
  if (values.help === true) return 'help';
  const parsed = demoOptionsSchema.safeParse(values);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => ({ path: `--${issue.path.join('.')}`, message: issue.message }));
    throw new AppError('USAGE', { message: 'The options are not valid.', issues, hint: 'npm run demo -- --help' });
  }
  return parsed.data;
}
