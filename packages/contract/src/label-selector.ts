import { labelsSchema, nameSchema } from './common.ts';
import { AppError, type Issue } from './errors.ts';

/** One condition of a label selector. */
export type LabelRequirement =
  | { op: 'in' | 'notin'; key: string; values: readonly string[] }
  | { op: 'exists' | 'absent'; key: string }
  /** All conditions of a saved group. */
  | { op: 'group'; name: string };

/** Longest text of a selector. */
export const MAX_SELECTOR_LENGTH = 2048;

/**
 * Parses a label selector in the syntax of Kubernetes: `key=value` (or `==`), `key!=value`, `key in (a,b)`, `key notin (a,b)`,
 * `key`, `!key`, joined by commas, all of which must hold; `@name` stands for the conditions of a saved device group.
 *
 * @throws AppError INPUT_INVALID (user) with each faulty part.
 */
export function parseLabelSelector(text: string): LabelRequirement[] {
  const requirements: LabelRequirement[] = [];
  const issues: Issue[] = [];
  for (const part of splitOutsideBrackets(text)) {
    const requirement = parsePart(part);
    if (requirement === undefined) issues.push({ path: 'selector', message: `"${part}" is not a condition` });
    else requirements.push(requirement);
  }
  if (issues.length === 0) return requirements;
  throw new AppError('INPUT_INVALID', {
    message: `The selector "${text}" is not valid.`,
    hint: 'Write it like site=north,role!=spare,line in (1,2),!broken or @group.',
    issues,
  });
}

function splitOutsideBrackets(text: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

function parsePart(part: string): LabelRequirement | undefined {
  const group = /^@(\S+)$/.exec(part)?.[1];
  if (group !== undefined) return nameSchema.safeParse(group).success ? { op: 'group', name: group } : undefined;
  const single = /^([^=!\s()]+)\s*(==|=|!=)\s*([^=!\s()]*)$/.exec(part);
  if (single !== null) return valued(single[1] ?? '', single[2] === '!=' ? 'notin' : 'in', [single[3] ?? '']);
  const set = /^([^=!\s()]+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return valued(set[1] ?? '', set[2] === 'notin' ? 'notin' : 'in', values);
  }
  const bare = /^(!?)\s*([^=!\s()]+)$/.exec(part);
  const key = bare?.[2] ?? '';
  if (bare === null || !labelsSchema.safeParse({ [key]: '' }).success) return undefined;
  return { op: bare[1] === '!' ? 'absent' : 'exists', key };
}

function valued(key: string, op: 'in' | 'notin', values: string[]): LabelRequirement | undefined {
  return values.every((value) => labelsSchema.safeParse({ [key]: value }).success) ? { op, key, values } : undefined;
}

/**
 * Whether labels fulfil every condition. As in Kubernetes, `!=` and `notin` also hold where there is no such label.
 *
 * @param groups - conditions of the groups that are named; one that is not there matches nothing.
 */
export function matchesSelector(
  requirements: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>>,
  groups: ReadonlyMap<string, readonly LabelRequirement[]> = new Map(),
): boolean {
  return requirements.every((requirement) => holds(requirement, labels, groups));
}

function holds(
  requirement: LabelRequirement,
  labels: Readonly<Record<string, string>>,
  groups: ReadonlyMap<string, readonly LabelRequirement[]>,
): boolean {
  if (requirement.op === 'group') {
    const inner = groups.get(requirement.name);
    return inner !== undefined && matchesSelector(inner, labels);
  }
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.op) {
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case 'notin':
      return value === undefined || !requirement.values.includes(value);
  }
}
