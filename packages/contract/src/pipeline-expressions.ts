/**
 * The small language of step parameters and conditions. Nothing is evaluated but look-ups and one comparison.
 *
 *     template   = text with any number of "${{" reference "}}"
 *     reference  = "steps." ID ".outputs." NAME ("." NAME)*     a value of the step's outputs.json, or `artifact`, its artifact's name
 *                | "steps." ID ".metrics." METRIC               the metric's last value
 *                | "hyperparams." NAME
 *                | "dataset." ("name" | "version" | "digest")
 *     condition  = operand ("==" | "!=" | "<=" | ">=" | "<" | ">") operand
 *     operand    = reference | "${{" reference "}}" | number | "'" text "'" | "true" | "false"
 */
export type Reference =
  | { readonly from: 'output'; readonly step: string; readonly path: readonly string[] }
  | { readonly from: 'metric'; readonly step: string; readonly metric: string }
  | { readonly from: 'hyperparams'; readonly name: string }
  | { readonly from: 'dataset'; readonly field: 'name' | 'version' | 'digest' };

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

export type Operand = { readonly reference: Reference } | { readonly literal: string | number | boolean };
export const COMPARISONS = ['==', '!=', '<=', '>=', '<', '>'] as const;
export interface StepCondition {
  readonly left: Operand;
  readonly comparison: (typeof COMPARISONS)[number];
  readonly right: Operand;
}

const ID = '[a-z][a-z0-9-]*';
const WORD = '[A-Za-z_][A-Za-z0-9_-]*';
const OUTPUT = new RegExp(`^steps\\.(${ID})\\.outputs\\.(${WORD}(?:\\.${WORD})*)$`);
const METRIC = new RegExp(`^steps\\.(${ID})\\.metrics\\.([A-Za-z0-9][A-Za-z0-9_./@:-]*)$`);
const HYPERPARAM = /^hyperparams\.([a-z_][a-z0-9_]*)$/;
const DATASET = /^dataset\.(name|version|digest)$/;
const CONDITION = /^(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+)$/;

const REFERENCE_FORMS = 'steps.ID.outputs.NAME, steps.ID.metrics.NAME, hyperparams.NAME, dataset.name, dataset.version or dataset.digest';

export function parseReference(text: string): Parsed<Reference> {
  const trimmed = text.trim();
  const output = OUTPUT.exec(trimmed);
  if (output !== null) return { ok: true, value: { from: 'output', step: output[1] ?? '', path: (output[2] ?? '').split('.') } };
  const metric = METRIC.exec(trimmed);
  if (metric !== null) return { ok: true, value: { from: 'metric', step: metric[1] ?? '', metric: metric[2] ?? '' } };
  const hyperparam = HYPERPARAM.exec(trimmed);
  if (hyperparam !== null) return { ok: true, value: { from: 'hyperparams', name: hyperparam[1] ?? '' } };
  const field = DATASET.exec(trimmed)?.[1];
  if (field === 'name' || field === 'version' || field === 'digest') return { ok: true, value: { from: 'dataset', field } };
  return { ok: false, message: `"${trimmed}" is not a reference; possible are ${REFERENCE_FORMS}` };
}

/** Text and references of a parameter's value, in order; a text without "${{" is one part. */
export function parseTemplate(text: string): Parsed<(string | Reference)[]> {
  const parts: (string | Reference)[] = [];
  for (let at = 0; at < text.length; ) {
    const open = text.indexOf('${{', at);
    if (open < 0) {
      parts.push(text.slice(at));
      break;
    }
    const close = text.indexOf('}}', open);
    if (close < 0) return { ok: false, message: `"\${{" at character ${open + 1} has no "}}"` };
    const reference = parseReference(text.slice(open + 3, close));
    if (!reference.ok) return reference;
    if (open > at) parts.push(text.slice(at, open));
    parts.push(reference.value);
    at = close + 2;
  }
  return { ok: true, value: parts };
}

export function parseCondition(text: string): Parsed<StepCondition> {
  const match = CONDITION.exec(text.trim());
  const comparison = COMPARISONS.find((known) => known === match?.[2]);
  if (match === null || comparison === undefined) {
    return { ok: false, message: `"${text}" is not a comparison like "steps.benchmark.metrics.accuracy >= 0.9"` };
  }
  const left = parseOperand(match[1] ?? '');
  if (!left.ok) return left;
  const right = parseOperand(match[3] ?? '');
  if (!right.ok) return right;
  return { ok: true, value: { left: left.value, comparison, right: right.value } };
}

function parseOperand(text: string): Parsed<Operand> {
  const trimmed = text.trim();
  if (trimmed === 'true' || trimmed === 'false') return { ok: true, value: { literal: trimmed === 'true' } };
  const quoted = /^'([^']*)'$/.exec(trimmed)?.[1];
  if (quoted !== undefined) return { ok: true, value: { literal: quoted } };
  if (/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) return { ok: true, value: { literal: Number(trimmed) } };
  const wrapped = /^\$\{\{(.*)\}\}$/.exec(trimmed)?.[1];
  const reference = parseReference(wrapped ?? trimmed);
  return reference.ok ? { ok: true, value: { reference: reference.value } } : reference;
}

/** References of a condition. */
export function referencesOf({ left, right }: StepCondition): Reference[] {
  return [left, right].flatMap((operand) => ('reference' in operand ? [operand.reference] : []));
}

/** Every text in a value of parameters, with the path to it. */
export function textsIn(value: unknown, path: readonly (string | number)[] = []): { text: string; path: readonly (string | number)[] }[] {
  if (typeof value === 'string') return [{ text: value, path }];
  if (Array.isArray(value)) return value.flatMap((item, index) => textsIn(item, [...path, index]));
  if (typeof value === 'object' && value !== null) return Object.entries(value).flatMap(([key, item]) => textsIn(item, [...path, key]));
  return [];
}
