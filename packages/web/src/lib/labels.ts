import { labelsSchema } from '@selvedge/contract';

export type LabelSelection = { ok: true; labels: Record<string, string> } | { ok: false; message: string };

/** Reads `site=lab, arch=arm64` (commas or blanks between pairs). Empty text selects everything. */
export function parseSelector(text: string): LabelSelection {
  const labels: Record<string, string> = {};
  for (const pair of text.split(/[\s,]+/).filter((part) => part !== '')) {
    const at = pair.indexOf('=');
    if (at <= 0) return { ok: false, message: `"${pair}" is not of the form key=value` };
    labels[pair.slice(0, at)] = pair.slice(at + 1);
  }
  const parsed = labelsSchema.safeParse(labels);
  if (parsed.success) return { ok: true, labels: parsed.data };
  const issue = parsed.error.issues[0];
  return { ok: false, message: `${issue?.path.join('.') ?? 'label'}: ${issue?.message ?? 'is not valid'}` };
}

/** The inverse of `parseSelector`. */
export function formatSelector(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** True when every wanted label is there with the wanted value; an empty selector matches all. */
export function matchesLabels(labels: Record<string, string>, selector: Record<string, string>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}
