import { type SomeHyperparams, someHyperparamsSchema } from '@selvedge/contract';

export type ReadHyperparams = { ok: true; values: SomeHyperparams } | { ok: false; name: string; message: string };

/** What was written into the fields; an empty one leaves the pipeline's own value. */
export function readHyperparams(fields: Readonly<Record<string, string>>): ReadHyperparams {
  const written = Object.entries(fields).filter(([, text]) => text.trim() !== '');
  const parsed = someHyperparamsSchema.safeParse(Object.fromEntries(written.map(([name, text]) => [name, numberOrText(text.trim())])));
  if (parsed.success) return { ok: true, values: parsed.data };
  const issue = parsed.error.issues[0];
  return { ok: false, name: String(issue?.path[0] ?? ''), message: issue?.message ?? 'is not valid' };
}

function numberOrText(text: string): number | string {
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
