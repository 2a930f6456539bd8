import { type ResultSummary, resultSummarySchema } from '@selvedge/contract';
import * as z from 'zod';

const lineSchema = z.tuple([z.int().min(1), z.literal('r'), z.number(), resultSummarySchema.omit({ at: true })]);

export interface KeptResults {
  kind: 'results';
  sequence: number;
  atMs: number;
  results: Omit<ResultSummary, 'at'>;
}

/** A line of what a model answered; undefined for one that is damaged. */
export function parseResults(line: unknown): KeptResults | undefined {
  const parsed = lineSchema.safeParse(line);
  if (!parsed.success) return undefined;
  const [sequence, , atMs, results] = parsed.data;
  return { sequence, atMs, kind: 'results', results };
}
