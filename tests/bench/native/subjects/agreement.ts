// How far two sets of results agree: the best class of classifiers, boxes of detectors.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as z from 'zod';

const run = promisify(execFile);

export const resultSchema = z.object({
  top: z.object({ index: z.int(), score: z.number() }).optional(),
  boxes: z
    .array(z.object({ box: z.tuple([z.number(), z.number(), z.number(), z.number()]), index: z.int(), score: z.number() }))
    .optional(),
});
export type Result = z.infer<typeof resultSchema>;
type Box = NonNullable<Result['boxes']>[number];

const lineSchema = z.object({ result: resultSchema });

/** Results of the real executable of a package for every picture of a folder, in the order of their names. */
export async function resultsOf(packageFolder: string, pictures: string): Promise<Result[]> {
  const { stdout } = await run(`${packageFolder}/run`, ['--input', pictures], { maxBuffer: 1 << 28 });
  return stdout
    .trim()
    .split('\n')
    .map((line) => lineSchema.parse(JSON.parse(line)).result);
}

export function overlap(a: Box['box'], b: Box['box']): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = (box: Box['box']) => (box[2] - box[0]) * (box[3] - box[1]);
  return (width * height) / (area(a) + area(b) - width * height);
}

/** How many boxes of `found` are those of `expected`: same class, IoU at least `least`, each taken once, best first. */
export function matchBoxes(expected: readonly Box[], found: readonly Box[], least = 0.5): number {
  const free = new Set(expected);
  let matched = 0;
  for (const { box, index } of found) {
    const candidates = [...free].filter((other) => other.index === index && overlap(other.box, box) >= least);
    const [best] = candidates.sort((a, b) => overlap(b.box, box) - overlap(a.box, box));
    if (best === undefined) continue;
    free.delete(best);
    matched += 1;
  }
  return matched;
}

/** 0..1: pictures with the same best class, or boxes that have a partner (F1 of one side against the other). */
export function agreement(expected: readonly Result[], found: readonly Result[]): { share: number; boxes: number } {
  let matched = 0;
  let all = 0;
  let boxes = 0;
  for (const [at, one] of expected.entries()) {
    const other = found[at];
    if (one.boxes === undefined) {
      matched += one.top?.index === other?.top?.index ? 2 : 0;
      all += 2;
      continue;
    }
    matched += 2 * matchBoxes(one.boxes, other?.boxes ?? []);
    all += one.boxes.length + (other?.boxes?.length ?? 0);
    boxes += one.boxes.length;
  }
  return { share: all === 0 ? Number.NaN : matched / all, boxes };
}
