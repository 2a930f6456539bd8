/** One class of a classification result. `score` is 0..1. */
export interface ScoredLabel {
  readonly label: string;
  readonly score: number;
}

/**
 * The classes in a post-processing result, best first: `topk` when there is one, else `top` alone. Empty for results
 * of another form (boxes, raw tensors), which are shown as they are.
 */
export function readScores(result: Record<string, unknown>): ScoredLabel[] {
  const many = Array.isArray(result.topk) ? result.topk : [];
  const entries = many.length > 0 ? many : [result.top];
  return entries.flatMap((entry) => toScored(entry)).sort((a, b) => b.score - a.score);
}

function toScored(entry: unknown): ScoredLabel[] {
  if (typeof entry !== 'object' || entry === null) return [];
  const fields: Record<string, unknown> = { ...entry };
  const score = [fields.score, fields.probability, fields.confidence, fields.value].find((value) => typeof value === 'number');
  const label = [fields.label, fields.name, fields.class, fields.index].find(
    (value) => typeof value === 'string' || typeof value === 'number',
  );
  return typeof score === 'number' && label !== undefined ? [{ label: String(label), score }] : [];
}
