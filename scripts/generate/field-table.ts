import * as z from 'zod';

interface Node {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, Node>;
  required?: string[];
  items?: Node;
  additionalProperties?: Node | boolean;
  anyOf?: Node[];
  oneOf?: Node[];
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

/** Bounds that come from the number type and not from the schema. */
const isBound = (value: number | undefined): value is number => value !== undefined && Math.abs(value) < Number.MAX_SAFE_INTEGER;

function rangeOf(node: Node): string {
  const range = (low: number | undefined, high: number | undefined, unit: string) => {
    if (isBound(low) && isBound(high)) return `${low} to ${high}${unit}`;
    if (isBound(high)) return `at most ${high}${unit}`;
    return isBound(low) && low > 0 ? `at least ${low}${unit}` : '';
  };
  const parts = [
    range(node.minimum, node.maximum, ''),
    range(node.minLength, node.maxLength, ' characters'),
    range(node.minItems, node.maxItems, ' items'),
  ];
  if (node.format === 'date-time') parts.push('ISO 8601, UTC');
  if (node.pattern === '^[0-9a-f]{64}$') parts.push('64 hexadecimal digits');
  return parts.filter((part) => part !== '').join(', ');
}

function typeOf(node: Node): string {
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``;
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(' ');
  const choices = node.anyOf ?? node.oneOf;
  if (choices !== undefined) return choices.map((choice) => (choice.properties === undefined ? typeOf(choice) : 'object')).join(' or ');
  if (node.items !== undefined) return `array of ${typeOf(node.items)}`;
  return [node.type ?? 'any'].flat().join(' or ');
}

/** Rows of an object's fields, nested ones with their path. */
function rowsOf(node: Node, path: string): string[] {
  const rows: string[] = [];
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    const isRequired = node.required?.includes(name) === true;
    rows.push(`| \`${at}\` | ${typeOf(field)} | ${isRequired ? 'yes' : 'no'} | ${rangeOf(field)} |`);
    rows.push(...nestedRows(field, at));
  }
  return rows;
}

function nestedRows(field: Node, at: string): string[] {
  if (field.properties !== undefined) return rowsOf(field, at);
  if (field.items !== undefined) return nestedRows(field.items, `${at}[]`);
  if (typeof field.additionalProperties === 'object') return nestedRows(field.additionalProperties, `${at}.*`);
  const objects = (field.anyOf ?? field.oneOf ?? []).filter((choice) => choice.properties !== undefined);
  return objects.flatMap((choice) => rowsOf(choice, at));
}

/** The alternatives of a union by the constant that tells them apart; one without a name for everything else. */
function alternativesOf(node: Node): { title: string; node: Node }[] {
  const choices = node.oneOf ?? node.anyOf;
  if (choices === undefined) return [{ title: '', node }];
  return choices.map((choice) => ({ title: String(choice.properties?.type?.const ?? ''), node: choice }));
}

/** A Markdown table of every field of a message: path, type, whether it must be there, and its bounds. */
export function fieldTable(schema: z.ZodType): string {
  const json: Node = JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', target: 'draft-2020-12' })));
  return alternativesOf(json)
    .map(({ title, node }) =>
      [
        ...(title === '' ? [] : [`With \`type: ${title}\`:`, '']),
        '| field | type | required | bounds |',
        '|---|---|---|---|',
        ...rowsOf(node, ''),
      ].join('\n'),
    )
    .join('\n\n');
}
