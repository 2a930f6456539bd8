import { transformSync } from 'esbuild';
import { describe, expect, it } from 'vitest';
// @ts-expect-error: scripts of the build are JavaScript without types
import { withLazySchemas } from './lazy-schemas.mjs';

/** Runs a module that is written for `z`, which notes what it makes. */
function run(source: string) {
  const made: string[] = [];
  const z = {
    object: (shape: Record<string, unknown>, name: string) => {
      made.push(name);
      return { shape, name };
    },
  };
  const code = transformSync(withLazySchemas('/m.ts', source), { loader: 'ts', format: 'cjs' }).code;
  const module = { exports: {} as Record<string, unknown> };
  new Function('z', 'module', 'exports', code)(z, module, module.exports);
  return { made, exports: module.exports };
}

const SOURCE = `
const innerSchema = z.object({}, 'inner');
export const outerSchema = z.object({ innerSchema, again: innerSchema, 'a.innerSchema': 1 }, 'outer');
export const otherSchema: unknown = z.object({}, 'other');
export type Inner = typeof innerSchema;
const byName = { innerSchema: 'a key', outerSchema };
export function use() { return [outerSchema.shape.again === innerSchema, byName.innerSchema]; }
`;

describe('lazy schemas', () => {
  it('are made when they are first used, once, with those that they hold', () => {
    const { made, exports } = run(SOURCE.replace(', outerSchema }', ' }'));
    expect(made).toEqual([]);
    expect((exports.use as () => unknown[])()).toEqual([true, 'a key']);
    expect((exports.use as () => unknown[])()).toEqual([true, 'a key']);
    expect(made).toEqual(['inner', 'outer']);
  });

  it('are made at once where the top level of a module needs them', () => {
    expect(run(SOURCE).made).toEqual(['inner', 'outer']);
  });

  it('come from other modules as functions too', () => {
    const text = "import { aSchema, type B } from './a.ts';\nimport { cSchema } from 'zod';\nexport const list = () => [aSchema, cSchema];";
    expect(withLazySchemas('/m.ts', text)).toContain('[aSchema(), cSchema]');
  });

  it.each([
    'export function pageSchema() {}',
    'const f = (aSchema) => aSchema;',
    'function f() { const aSchema = 1; return aSchema; }',
    'function f({ aSchema }) {}',
  ])('refuses what is only named like one: %s', (text) => {
    expect(() => withLazySchemas('/m.ts', `\n${text}`)).toThrow(/^\/m\.ts:2: "\w+Schema" is named like a schema/);
  });
});
