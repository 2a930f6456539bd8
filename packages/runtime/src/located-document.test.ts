import { pipelineSpecSchema } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { locateIssues, parseDocuments } from './located-document.ts';

const only = (text: string, name: string) => {
  const [document] = parseDocuments(text, name);
  if (document === undefined) throw new Error('no document');
  return document;
};

describe('parseDocuments', () => {
  it('takes JSON with comments and trailing commas', () => {
    expect(only('{\n  // why\n  "a": [1, 2,], /* so */\n}', 'x.json').value).toEqual({ a: [1, 2] });
  });

  it('takes many YAML documents and points into each', () => {
    const [first, second] = parseDocuments('a: 1\nb:\n  c: [1, 2]\n---\nq: 2\n', 'x.yaml');
    expect([first?.value, second?.value]).toEqual([{ a: 1, b: { c: [1, 2] } }, { q: 2 }]);
    expect(first?.locate(['b', 'c', 1])).toEqual({ line: 3, column: 10 });
    expect(second?.locate(['q'])).toEqual({ line: 5, column: 1 });
  });

  it.each([
    ['{"a": }', 'x.json', 1],
    ['a: [1\nb: 2', 'x.yaml', 2],
    ['a: 1\na: 2', 'x.yaml', 2],
  ])('says where %j is broken', (text, name, line) => {
    expect(() => parseDocuments(text, name)).toThrow(
      expect.objectContaining({
        code: 'DOCUMENT_SYNTAX',
        details: expect.objectContaining({ issues: expect.arrayContaining([expect.objectContaining({ file: name, line })]) }),
      }),
    );
  });

  it.each([
    ['{"a" 1}', 'x.json', 'colon expected'],
    ['a: "x\\q"', 'x.yaml', 'Invalid escape sequence \\q'],
  ])('says what is wrong with %j in words, without the place', (text, name, message) => {
    expect(() => parseDocuments(text, name)).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ issues: expect.arrayContaining([expect.objectContaining({ message })]) }),
      }),
    );
  });

  it('reads back any JSON value, as JSON and as YAML', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue({ maxDepth: 3 })), (value) => {
        const plain = JSON.parse(JSON.stringify(value));
        expect(only(JSON.stringify(plain), 'x.json').value).toEqual(plain);
        expect(only(stringify(plain), 'x.yaml').value ?? {}).toEqual(plain);
      }),
    );
  });
});

describe('locateIssues', () => {
  const text = `{
  "dataset": { "name": "d", "path": { "train": "a", "test": "b" } },
  "model": {
    "name": "m",
    "hyperparams": { "lr": 1e-3, "batch_size": 32, "epochs": -2, "foo": 3 },
  },
  "preproc": { "pipeline": ["hwc"] },
  "postproc": { "pipeline": ["nms"], "params": { "nms": { "IoU_thr": 1.8, "conf_thr": 0.6 } } },
}`;

  it('gives every fault with file, line, column and path, in order of the text', () => {
    const document = only(text, 'p.json');
    const parsed = pipelineSpecSchema.safeParse(document.value);
    const issues = parsed.success ? [] : locateIssues(document, 'p.json', parsed.error);
    expect(issues.map(({ file, line, column, path }) => `${file}:${line}:${column} ${path}`)).toEqual([
      'p.json:5:52 model.hyperparams.epochs',
      'p.json:5:66 model.hyperparams.foo',
      'p.json:7:29 preproc.pipeline[0]',
      'p.json:8:59 postproc.params.nms.IoU_thr',
    ]);
  });

  it('points at the enclosing part when something is missing', () => {
    const document = only('{\n  "dataset": {}\n}', 'p.json');
    const parsed = pipelineSpecSchema.safeParse(document.value);
    const issues = parsed.success ? [] : locateIssues(document, 'p.json', parsed.error);
    expect(issues).toContainEqual(expect.objectContaining({ path: 'dataset.name', line: 2, column: 3 }));
  });
});
