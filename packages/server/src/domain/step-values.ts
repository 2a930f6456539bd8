import {
  type Failure,
  type Operand,
  parseTemplate,
  type Reference,
  type RunSpec,
  type RunStep,
  type StepCondition,
} from '@selvedge/contract';

/** What references may name, as far as it is known. */
export interface KnownValues {
  readonly spec: RunSpec;
  readonly steps: readonly RunStep[];
}

type Looked = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly failure: Failure };

const missing = (message: string): Looked => ({ ok: false, failure: { code: 'INPUT_INVALID', message } });

/** Names for a message: at most ten. */
function listed(names: readonly string[]): string {
  if (names.length === 0) return 'there are none';
  return `there are ${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}`;
}

function lookUp(reference: Reference, { spec, steps }: KnownValues): Looked {
  if (reference.from === 'dataset') return { ok: true, value: spec.dataset[reference.field] };
  if (reference.from === 'hyperparams') {
    const values = new Map<string, unknown>(Object.entries(spec.pipelineSpec.model.hyperparams));
    const value = values.get(reference.name);
    return value === undefined ? missing(`hyperparams.${reference.name} is not set; ${listed([...values.keys()])}.`) : { ok: true, value };
  }
  const step = steps.find((one) => one.name === reference.step);
  if (reference.from === 'metric') {
    const metrics = step?.metrics ?? {};
    const value = metrics[reference.metric];
    if (value !== undefined) return { ok: true, value };
    return missing(`Step "${reference.step}" has no metric "${reference.metric}"; ${listed(Object.keys(metrics))}.`);
  }
  const outputs: Record<string, unknown> = { artifact: step?.artifact ?? undefined, ...step?.outputs };
  let value: unknown = outputs;
  for (const name of reference.path) value = isRecord(value) ? value[name] : undefined;
  if (value !== undefined) return { ok: true, value };
  return missing(`Step "${reference.step}" has no output "${reference.path.join('.')}"; ${listed(Object.keys(outputs))}.`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function substituteText(text: string, known: KnownValues, path: string): Looked {
  const template = parseTemplate(text);
  if (!template.ok) return missing(`${path}: ${template.message}`);
  const values: unknown[] = [];
  for (const part of template.value) {
    const looked = typeof part === 'string' ? { ok: true as const, value: part } : lookUp(part, known);
    if (!looked.ok) return missing(`${path}: ${looked.failure.message}`);
    values.push(looked.value);
  }
  const [only] = template.value;
  if (values.length === 1 && typeof only !== 'string') return { ok: true, value: values[0] };
  return { ok: true, value: values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join('') };
}

/** A value of parameters with its references replaced; the failure names the path of the one that cannot be. */
function substitute(value: unknown, known: KnownValues, path = 'parameters'): Looked {
  if (typeof value === 'string') return substituteText(value, known, path);
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const [index, item] of value.entries()) {
      const looked = substitute(item, known, `${path}[${index}]`);
      if (!looked.ok) return looked;
      items.push(looked.value);
    }
    return { ok: true, value: items };
  }
  if (!isRecord(value)) return { ok: true, value };
  const entries: [string, unknown][] = [];
  for (const [key, item] of Object.entries(value)) {
    const looked = substitute(item, known, `${path}.${key}`);
    if (!looked.ok) return looked;
    entries.push([key, looked.value]);
  }
  return { ok: true, value: Object.fromEntries(entries) };
}

/** As `substitute`, of all parameters of a step. */
export function substituteAll(
  parameters: Readonly<Record<string, unknown>>,
  known: KnownValues,
): { ok: true; value: Record<string, unknown> } | { ok: false; failure: Failure } {
  const looked = substitute(parameters, known);
  return looked.ok ? { ok: true, value: isRecord(looked.value) ? looked.value : {} } : looked;
}

/** Whether a condition holds, with both sides as text for people. Numbers compare as numbers; `<` and its like need two of them. */
export function evaluate(
  condition: StepCondition,
  known: KnownValues,
): { ok: true; holds: boolean; text: string } | { ok: false; failure: Failure } {
  const side = (operand: Operand): Looked =>
    'literal' in operand ? { ok: true, value: operand.literal } : lookUp(operand.reference, known);
  const left = side(condition.left);
  if (!left.ok) return left;
  const right = side(condition.right);
  if (!right.ok) return right;
  const { comparison } = condition;
  const text = `${JSON.stringify(left.value)} ${comparison} ${JSON.stringify(right.value)}`;
  if (comparison === '==' || comparison === '!=') return { ok: true, holds: (left.value === right.value) === (comparison === '=='), text };
  const [a, b] = [left.value, right.value];
  if (typeof a !== 'number' || typeof b !== 'number')
    return { ok: false, failure: { code: 'INPUT_INVALID', message: `"when" compares what are not two numbers: ${text}.` } };
  const holds = comparison === '<' ? a < b : comparison === '<=' ? a <= b : comparison === '>' ? a > b : a >= b;
  return { ok: true, holds, text };
}
