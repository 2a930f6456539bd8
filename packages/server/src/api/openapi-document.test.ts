import { ROUTES } from '@selvedge/contract';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { openApiDocument } from './openapi-document.ts';
import { PIPELINE_ROUTES } from './pipeline-container.ts';

const operationSchema = z.looseObject({
  operationId: z.string(),
  summary: z.string(),
  tags: z.array(z.string()).length(1),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.enum(['path', 'query']), schema: z.unknown() })).optional(),
  requestBody: z.looseObject({ content: z.record(z.string(), z.looseObject({ schema: z.unknown() })) }).optional(),
  responses: z.record(z.string(), z.looseObject({ description: z.string(), content: z.record(z.string(), z.unknown()).optional() })),
});
const documentOf = z.looseObject({
  openapi: z.string().regex(/^3\.1\./),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  tags: z.array(z.looseObject({ name: z.string() })),
  paths: z.record(z.string().regex(/^\//), z.record(z.enum(['get', 'post', 'put', 'delete']), operationSchema.optional())),
});

function schemasIn(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === 'schema' ? [inner] : schemasIn(inner)));
}

describe('openApiDocument', () => {
  it('describes every route once, with its parameters and answers', async () => {
    const document = documentOf.parse(await openApiDocument());
    const operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).flatMap(([method, operation]) => (operation === undefined ? [] : [{ path, method, ...operation }])),
    );
    expect(operations.map((operation) => operation.operationId).sort()).toEqual(
      [...Object.keys(ROUTES), ...Object.keys(PIPELINE_ROUTES)].sort(),
    );
    const tags = document.tags.map((tag) => tag.name);
    for (const { path, operationId, parameters = [], tags: own, responses } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const declared = parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name);
      expect(declared.sort(), operationId).toEqual(inPath.sort());
      expect(tags).toContain(own[0]);
      expect(Object.keys(responses), operationId).toContain('default');
    }
    const upload = operations.find((operation) => operation.operationId === 'uploadDataset');
    expect(Object.keys(upload?.requestBody?.content ?? {})).toEqual(['application/x-tar']);
  });

  it('holds only valid JSON Schemas', async () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const schemas = schemasIn(await openApiDocument());
    expect(schemas.length).toBeGreaterThan(50);
    for (const schema of schemas) expect(ajv.validateSchema(Object(schema)), JSON.stringify(schema).slice(0, 200)).toBe(true);
  });

  it('is the same every time', async () => {
    expect(JSON.stringify(await openApiDocument())).toBe(JSON.stringify(await openApiDocument()));
  });
});
