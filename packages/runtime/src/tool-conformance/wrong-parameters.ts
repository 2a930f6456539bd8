import * as z from 'zod';

const propertySchema = z.looseObject({
  type: z.unknown().optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
});
const objectSchema = z.looseObject({
  type: z.literal('object'),
  properties: z.record(z.string(), propertySchema).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.unknown().optional(),
});

/** The parameters' schema as far as it is looked at here; undefined when it is no schema of an object. */
export function parameterSchemaFrom(schema: unknown): z.output<typeof objectSchema> | undefined {
  return objectSchema.safeParse(schema).data;
}

/** A value that the type does not allow. */
function wrongValue(type: unknown): unknown {
  return type === 'string' ? { not: 'a text' } : 'not-this-type';
}

/**
 * Parameters that the tool must refuse, made of ones that it takes, and the name of the one that is wrong: one of
 * another type, else one that is not known. Undefined when the schema allows anything.
 */
export function wrongParameters(
  schema: unknown,
  good: Readonly<Record<string, unknown>>,
): { parameters: unknown; path: string } | undefined {
  const described = parameterSchemaFrom(schema);
  for (const [name, property] of Object.entries(described?.properties ?? {})) {
    if (typeof property.type !== 'string' || property.type === 'null') continue;
    return { parameters: { ...good, [name]: wrongValue(property.type) }, path: name };
  }
  if (described?.additionalProperties !== false) return undefined;
  return { parameters: { ...good, 'not-a-parameter': 1 }, path: 'not-a-parameter' };
}
